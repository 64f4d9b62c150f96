"""What a job notices of a collector that is away, and what is lost: `.venv/bin/python benchmarks/outage.py`.

    .venv/bin/python benchmarks/outage.py [--minutes 10] [--rate 100] [--metrics 3] [--back-to-back]

A job takes steps at a steady rate, or back to back, while its collector is away; then the collector comes
back, and the job goes on until all has arrived. One JSON line: steps taken, received, lost and received
twice; the cost of a step while the collector was away and after; the memory of the process (RSS, MiB) after
the first tenth of the outage, at its end, and at most; how long the collector took to catch up.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from time import perf_counter

import trimtab

COLLECTOR = """
import sys
from trimtab.testing import RecordingCollector
collector = RecordingCollector()
collector.start()
collector.stop()
print(collector.url, flush=True)
for line in sys.stdin:
    if line == "back\\n":
        collector.start()
    else:
        rows = collector.rows()
        print(len(rows), len(set(rows)), flush=True)
"""
PATIENCE_SECONDS = 120.0


class Away:
    """A collector in a child process, away until it is told to come back."""

    def __init__(self, child: subprocess.Popen[str]) -> None:
        self._child = child
        self.url = self._line()

    def back(self) -> None:
        """Listen from now on."""
        self._say("back")

    def received(self) -> tuple[int, int]:
        """Return how many steps arrived, and how many different ones."""
        self._say("count")
        every, different = self._line().split()
        return int(every), int(different)

    def _say(self, word: str) -> None:
        assert self._child.stdin is not None
        self._child.stdin.write(word + "\n")
        self._child.stdin.flush()

    def _line(self) -> str:
        assert self._child.stdout is not None
        return self._child.stdout.readline().strip()


@contextmanager
def away() -> Iterator[Away]:
    """Start the collector's process, end it with the block."""
    command = [sys.executable, "-c", COLLECTOR]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as child:
        try:
            yield Away(child)
        finally:
            child.kill()


@dataclass
class Job:
    """Steps of a job, what each cost, and the memory as it went."""

    step: Callable[[], object]
    seconds_a_step: float
    costs: list[float] = field(default_factory=list)
    memory_mib: list[float] = field(default_factory=list)

    def run(self, steps: int) -> None:
        """Take so many steps."""
        every = max(steps // 200, 1)
        begin = perf_counter()
        for number in range(steps):
            before = perf_counter()
            self.step()
            after = perf_counter()
            self.costs.append(after - before)
            if number % every == 0:
                self.memory_mib.append(rss_mib())
            due = begin + (number + 1) * self.seconds_a_step
            if due > after:
                time.sleep(due - after)


def rss_mib() -> float:
    """Return the resident memory of this process."""
    pages = int(Path("/proc/self/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGESIZE") / 2**20


def costs_us(costs: list[float], when: str) -> dict[str, float]:
    costs = sorted(costs)
    return {
        f"{when}_median_us": round(1e6 * costs[len(costs) // 2], 2),
        f"{when}_p99_us": round(1e6 * costs[len(costs) * 99 // 100], 2),
    }


def measure(steps: int, seconds_a_step: float, metrics: int) -> dict[str, float]:
    """Run a job through an outage of so many steps."""
    values = {f"layer.{i}.norm": 1.0 + i for i in range(metrics - 3)}
    with away() as collector, trimtab.watch(project="outage", url=collector.url) as watch:

        def step() -> object:
            return watch.step(loss=1.0, lr=0.1, grad_norm=1.0, **values)

        out, after = Job(step, seconds_a_step), Job(step, max(seconds_a_step, 0.001))
        out.run(steps)
        collector.back()
        began, taken = perf_counter(), steps
        while collector.received()[1] < taken - 2_000 and perf_counter() - began < PATIENCE_SECONDS:
            after.run(100)
            taken += 100
        while collector.received()[1] < taken and perf_counter() - began < PATIENCE_SECONDS:
            time.sleep(0.05)
        caught_up = perf_counter() - began
        every, different = collector.received()
    return {
        "steps": taken,
        "received": every,
        "lost": taken - different,
        "doubled": every - different,
        **costs_us(out.costs, "away"),
        **(costs_us(after.costs, "back") if after.costs else {}),
        "rss_first_mib": round(out.memory_mib[len(out.memory_mib) // 10], 1),
        "rss_last_mib": round(out.memory_mib[-1], 1),
        "rss_max_mib": round(max([*out.memory_mib, *after.memory_mib, rss_mib()]), 1),
        "catch_up_seconds": round(caught_up, 1),
    }


def main() -> None:
    """Measure one outage."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--minutes", type=float, default=10.0, help="of the outage, at the rate")
    parser.add_argument("--rate", type=float, default=100.0, help="steps a second")
    parser.add_argument("--metrics", type=int, default=3, help="a step, 3 or more")
    parser.add_argument("--back-to-back", action="store_true", help="as many steps, as fast as they go")
    asked = parser.parse_args()
    logging.disable(logging.ERROR)
    steps = int(asked.minutes * 60 * asked.rate)
    with tempfile.TemporaryDirectory() as folder:
        os.environ["TRIMTAB_DIR"] = folder
        found = measure(steps, 0.0 if asked.back_to_back else 1 / asked.rate, asked.metrics)
    pace = "back to back" if asked.back_to_back else f"{asked.rate:g} a second"
    line = {"benchmark": "outage", "pace": pace, "metrics": asked.metrics, "minutes": asked.minutes}
    print(json.dumps(line | found), flush=True)


if __name__ == "__main__":
    main()
