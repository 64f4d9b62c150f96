"""How many steps survive a process that is killed (SIGKILL) straight after its last call."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any, Final

from hooks_bench.client_process import Pace, Task
from hooks_bench.clients import FLOOR, OURS
from hooks_bench.interpreters import AbsentError
from hooks_bench.processes import FailedError, fresh_folder, run
from trimtab.testing import RecordingCollector

STEPS: Final = 1_000
PACES: Final[tuple[Pace, ...]] = ("asleep", "busy")
"""A millisecond between steps: given away, as to a device, or spent in Python, which lets no thread in."""
ARRIVAL_S: Final = 10.0
AWAY: Final = f"{OURS}, collector away"


def measure(clients: Sequence[str], pace: Pace, steps: int = STEPS) -> Iterator[dict[str, Any]]:
    """Kill a process of each client; yield one line a client, Trimtab with its collector there and away."""
    for client in clients:
        if client == FLOOR:
            continue  # it keeps nothing
        for name in (OURS, AWAY) if client == OURS else (client,):
            line = {"benchmark": "hooks kill", "client": name, "pace": pace, "steps": steps}
            try:
                yield line | {"survived": _survived(name, pace, steps)}
            except AbsentError as error:
                yield line | {"absent": str(error)}
            except FailedError as error:
                yield line | {"failed": str(error)}


def _survived(name: str, pace: Pace, steps: int) -> int:
    with fresh_folder() as folder:
        if name in (OURS, AWAY):
            return _delivered(folder, pace, steps, away=name == AWAY)
        run(Task("kill", name, steps=steps, pace=pace), folder)
        return int(run(Task("read", name), folder).answer["steps"])


def _delivered(folder: Path, pace: Pace, steps: int, away: bool) -> int:
    """Count what the collector has after the next start of any run on this machine."""
    with RecordingCollector().running() as collector:
        if away:
            collector.stop()
        run(Task("kill", OURS, collector.url, steps=steps, pace=pace), folder)
        if away:
            collector.start()
        run(Task("open", OURS, collector.url), folder)
        with suppress(TimeoutError):
            collector.wait_until(lambda each: len(set(each.rows())) >= steps, ARRIVAL_S)
        return len(set(collector.rows()))
