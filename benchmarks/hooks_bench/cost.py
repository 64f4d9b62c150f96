"""What a step costs: on the training thread, in processor time and memory, to open and to leave."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Final

from hooks_bench.client_process import Pace, Task
from hooks_bench.clients import CLIENTS, OURS
from hooks_bench.figures import quantile
from hooks_bench.interpreters import AbsentError
from hooks_bench.processes import Done, FailedError, fresh_folder, run
from trimtab.testing import RecordingCollector

LEAST_STEPS: Final = 20
BACK_TO_BACK: Final = {3: 10_000, 100: 1_000, 1000: 200}
"""Steps by the number of metrics; a slow client takes its share of them."""
BUSY: Final = {3: 2_000, 100: 400, 1000: 100}


@dataclass(frozen=True, slots=True)
class Load:
    """So many metrics a step, so many steps, and what the loop does between them."""

    width: int
    pace: Pace
    steps: int

    def steps_for(self, client: str) -> int:
        """How many of them a client is given."""
        return min(self.steps, max(LEAST_STEPS, round(self.steps * CLIENTS[client].share)))


def loads(widths: Iterable[int], share: float) -> list[Load]:
    """All loads of some widths, with a share of the steps."""
    paces: list[tuple[Pace, dict[int, int]]] = [("back to back", BACK_TO_BACK), ("busy", BUSY)]
    return [
        Load(width, pace, max(LEAST_STEPS, round(share * steps[width])))
        for width in widths
        for pace, steps in paces
    ]


def measure(clients: Sequence[str], load: Load) -> Iterator[dict[str, Any]]:
    """Give each client the load, in a process of its own; yield one line a client."""
    for client in clients:
        if load.width not in CLIENTS[client].widths:
            continue
        line = {"benchmark": "hooks cost", "client": client, "metrics": load.width, "pace": load.pace}
        try:
            yield line | _measured(client, load)
        except AbsentError as error:
            yield line | {"absent": str(error)}
        except FailedError as error:
            yield line | {"failed": str(error)}


def _measured(client: str, load: Load) -> dict[str, Any]:
    steps = load.steps_for(client)
    with fresh_folder() as folder, RecordingCollector().running() as collector:
        done = run(Task("cost", client, collector.url, load.width, steps, load.pace), folder)
        found = figures(done, steps)
        if client == OURS:
            found["delivered"] = len(set(collector.rows()))
    return found


def figures(done: Done, steps: int) -> dict[str, Any]:
    """Sum up what a process told and took; times on the training thread in microseconds a step."""
    answer, usage = done.answer, done.usage
    taken = sorted(nanoseconds / 1e3 for nanoseconds in answer["taken_ns"])
    cpu_s = usage["cpu_s"] + usage["helpers_cpu_s"]
    found = {
        "median_us": quantile(taken, 0.5),
        "p99_us": quantile(taken, 0.99),
        "max_us": taken[-1],
        "mean_us": sum(taken) / len(taken),
        "cpu_s": cpu_s,
        "cpu_after_open_s": cpu_s - answer["open_cpu_s"],
        "open_s": answer["open_s"],
        "exit_s": usage["gone"] - answer["last_call"],
        **{name: answer[name] for name in ("rss_mb", "added_mb", "peak_mb", "helpers_mb")},
    }
    return {"version": answer["version"], "steps": steps} | {
        name: round(value, 3) for name, value in found.items()
    }
