"""What runs in a client's own process and folder: it logs steps and measures, or is killed, or reads.

    python -m hooks_bench.client_process TASK.json

The answer goes to `answer.json`, before the client is closed: closing is part of what is measured.
"""

from __future__ import annotations

import json
import logging
import os
import platform
import signal
import sys
import time
from array import array
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from time import perf_counter_ns
from typing import Any, Final, Literal

from hooks_bench import memory
from hooks_bench.clients import CLIENTS
from hooks_bench.clients.client import Client, metrics

ANSWER: Final = "answer.json"
BUSY: Final = 50_000
"""Numbers to add up between two steps: about a millisecond of Python work that keeps the interpreter."""
SLEEP_S: Final = 0.001
NEXT_START_S: Final = 3.0
"""How long the next job runs: what an earlier one left is delivered in the background."""

What = Literal["cost", "kill", "read", "open"]
Pace = Literal["back to back", "busy", "asleep"]


@dataclass(frozen=True, slots=True)
class Task:
    """What a process is to do; `url` is a collector's."""

    what: What
    client: str
    url: str = ""
    width: int = 3
    steps: int = 0
    pace: Pace = "back to back"

    def write(self, path: Path) -> None:
        """Write it down for the process."""
        path.write_text(json.dumps(asdict(self)))


def between(pace: Pace) -> Callable[[], object]:
    """What the loop does between two steps."""
    if pace == "asleep":
        return lambda: time.sleep(SLEEP_S)
    work = range(BUSY if pace == "busy" else 0)
    return lambda: sum(work)


def cost(client: Client, task: Task) -> None:
    """Log the steps and tell what each call took, and what the process holds."""
    taken = array("q", bytes(8 * task.steps))
    rest = between(task.pace)
    before_mb, began = memory.resident_mb(), time.perf_counter()
    with client.opened(task.url, task.width) as log:
        open_s, open_cpu_s = time.perf_counter() - began, time.process_time()
        for step in range(task.steps):
            values = metrics(task.width, step)
            rest()
            begin = perf_counter_ns()
            log(step, values)
            taken[step] = perf_counter_ns() - begin
        last_call = time.monotonic()
        answer(
            last_call=last_call,
            open_s=open_s,
            open_cpu_s=open_cpu_s,
            rss_mb=memory.resident_mb(),
            added_mb=memory.resident_mb() - before_mb,
            peak_mb=memory.peak_mb(),
            helpers_mb=memory.helpers_mb(),
            taken_ns=taken.tolist(),
            version=version_of(client),
        )


def kill(client: Client, task: Task) -> None:
    """Log the steps, and be killed straight after the last call."""
    rest = between(task.pace)
    with client.opened(task.url, task.width) as log:
        for step in range(task.steps):
            rest()
            log(step, metrics(task.width, step))
        os.kill(os.getpid(), signal.SIGKILL)


def open_only(client: Client, task: Task) -> None:
    """Open, and close soon: the next start on this machine."""
    with client.opened(task.url, task.width):
        time.sleep(NEXT_START_S)


def read(client: Client, task: Task) -> None:
    """Count the steps that the client's own reader finds."""
    del task
    assert client.read is not None, f"{client.name} has no reader"
    answer(steps=client.read())


def version_of(client: Client) -> str:
    """The version of the client that is installed, or of Python where it is part of it."""
    from importlib.metadata import version  # not before memory was looked at

    return version(client.distribution) if client.distribution else platform.python_version()


def answer(**fields: Any) -> None:
    """Write the answer down."""
    Path(ANSWER).write_text(json.dumps(fields))


DO: Final[dict[What, Callable[[Client, Task], None]]] = {
    "cost": cost,
    "kill": kill,
    "read": read,
    "open": open_only,
}


def main() -> None:
    """Do the task that the first argument names."""
    logging.disable(logging.INFO)
    task = Task(**json.loads(Path(sys.argv[1]).read_text()))
    DO[task.what](CLIENTS[task.client], task)


if __name__ == "__main__":
    main()
