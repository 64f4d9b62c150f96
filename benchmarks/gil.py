"""How long the hooks' threads keep the training thread from running Python.

    .venv/bin/python benchmarks/gil.py [--metrics 3 100 1000] [--seconds 5] [--rounds 3]

The training thread spins in pure Python, records a step a hundred times a second, and notes each pause of the
spin of 50 µs and more in which it gave its core up of its own accord: that is how a thread waits for the
interpreter's lock (GIL). `hold` is the part of such a wait that is owed to the hooks: without the time in
which the system had no core for the training thread, and at most the time that the other threads of the
process ran. `wait` is all of it, on this machine, with whatever else runs there. `floor` is the same loop
without a watch, `start` the first seconds of a run, `backlog` a run whose collector comes back when a minute
of steps waits in the spool. One JSON line each, the worst of the rounds; Linux
only.
"""

from __future__ import annotations

import argparse
import json
import logging
import os
import resource
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from time import perf_counter

PAUSE_SECONDS = 50e-6
STEPS_PER_SECOND = 100
METRICS = (3, 100, 1_000)

Step = Callable[[], object]


class Clocks:
    """What tells a wait for the lock from a wait for a core; read at each pause."""

    def __init__(self) -> None:
        self._own = os.open("/proc/thread-self/schedstat", os.O_RDONLY)
        self._main = threading.get_native_id()
        self._seen: dict[int, float] = {}
        self._delay = 0.0
        self._yielded = 0
        self.look()

    def look(self) -> tuple[bool, float, float]:
        """Return what changed since the last look: gave the core up; seconds without one; others ran for."""
        yielded = resource.getrusage(resource.RUSAGE_THREAD).ru_nvcsw
        delay = int(os.pread(self._own, 100, 0).split()[1]) / 1e9
        found = yielded > self._yielded, delay - self._delay, self._others()
        self._yielded, self._delay = yielded, delay
        return found

    def _others(self) -> float:
        ran = 0.0
        for thread in threading.enumerate():
            tid = thread.native_id
            if tid is None or tid == self._main:
                continue
            try:
                now = time.clock_gettime(~tid << 3 | 6)  # the clock of the time that this thread ran
            except OSError:
                continue
            ran += now - self._seen.get(tid, 0.0)
            self._seen[tid] = now
        return ran


@dataclass
class Pauses:
    """Pauses of the spin, in seconds: waits, what of them the hooks held the lock for, and time spun."""

    waits: list[float] = field(default_factory=list)
    holds: list[float] = field(default_factory=list)
    spun: float = 0.0
    clocks: Clocks = field(default_factory=Clocks)

    def spin(self, until: float) -> None:
        """Spin until a moment of `perf_counter`."""
        self.clocks.look()
        begin = last = perf_counter()
        while last < until:
            now = perf_counter()
            if now - last > PAUSE_SECONDS:
                self._note(now - last)
                now = perf_counter()
            last = now
        self.spun += last - begin

    def _note(self, wait: float) -> None:
        gave_up, without_core, others = self.clocks.look()
        if gave_up:
            self.waits.append(wait)
            self.holds.append(max(0.0, min(wait - without_core, others)))

    def summary(self) -> dict[str, float]:
        """Return the longest hold, the 99.9th percentile and the median, ms, and shares of time lost."""
        return {
            "holds": len(self.holds),
            "hold_max_ms": _ms(max(self.holds, default=0.0)),
            "hold_p999_ms": _ms(_percentile(self.holds, 0.999)),
            "hold_median_ms": _ms(_percentile(self.holds, 0.5)),
            "holds_over_1_ms": sum(hold > 1e-3 for hold in self.holds),
            "hold_share": round(sum(self.holds) / self.spun, 5),
            "wait_max_ms": _ms(max(self.waits, default=0.0)),
            "wait_share": round(sum(self.waits) / self.spun, 5),
        }


def _percentile(values: list[float], share: float) -> float:
    return sorted(values)[int(len(values) * share)] if values else 0.0


def _ms(seconds: float) -> float:
    return round(1e3 * seconds, 3)


def train(pauses: Pauses, step: Step, seconds: float) -> None:
    """Take a step a hundred times a second, and spin in between."""
    begin = perf_counter()
    for number in range(int(seconds * STEPS_PER_SECOND)):
        step()
        pauses.spin(begin + (number + 1) / STEPS_PER_SECOND)


@contextmanager
def collector() -> Iterator[str]:
    """Run a recording collector in a child process and give its address."""
    program = (
        "import time; from trimtab.testing import RecordingCollector\n"
        "with RecordingCollector().running() as running:\n"
        "    print(running.url, flush=True)\n"
        "    time.sleep(600)"
    )
    with subprocess.Popen([sys.executable, "-c", program], stdout=subprocess.PIPE, text=True) as child:
        assert child.stdout is not None
        try:
            yield child.stdout.readline().strip()
        finally:
            child.kill()


def floor(metrics: int, seconds: float) -> Pauses:
    del metrics
    pauses = Pauses()
    train(pauses, lambda: None, seconds)
    return pauses


def steady(metrics: int, seconds: float) -> Pauses:
    """Steps at a steady pace, the collector there; the first second is `start`'s."""
    import trimtab

    values = {f"layer.{i}.norm": 1.0 + i for i in range(metrics)}
    with collector() as url, trimtab.watch(project="gil", url=url) as watch:
        train(Pauses(), lambda: watch.step(**values), 1.5)
        pauses = Pauses()
        train(pauses, lambda: watch.step(**values), seconds)
    return pauses


def start(metrics: int, seconds: float) -> Pauses:
    """From the moment on at which `watch()` has returned: sensors are found, the run is registered."""
    import trimtab

    values = {f"layer.{i}.norm": 1.0 + i for i in range(metrics)}
    pauses = Pauses()
    with collector() as url, trimtab.watch(project="gil", url=url) as watch:
        train(pauses, lambda: watch.step(**values), min(seconds, 3.0))
    return pauses


def backlog(metrics: int, seconds: float) -> Pauses:
    """The collector comes back after a minute of steps in the spool, sent while steps go on."""
    import trimtab

    values = {f"layer.{i}.norm": 1.0 + i for i in range(metrics)}
    with _away() as (port, back), trimtab.watch(project="gil", url=f"http://127.0.0.1:{port}") as watch:
        for number in range(60 * STEPS_PER_SECOND):
            watch.step(**values)
            if number % 20 == 0:
                time.sleep(0.01)
        pauses = Pauses()
        back()
        train(pauses, lambda: watch.step(**values), seconds)
    return pauses


@contextmanager
def _away() -> Iterator[tuple[int, Callable[[], None]]]:
    """Give the port of a collector that is away, and what brings it back."""
    program = (
        "import sys, time; from trimtab.testing import RecordingCollector\n"
        "collector = RecordingCollector(); collector.start(); port = collector._port; collector.stop()\n"
        "print(port, flush=True); sys.stdin.readline(); collector.start(); time.sleep(600)"
    )
    command = [sys.executable, "-c", program]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) as child:
        assert child.stdin is not None
        assert child.stdout is not None

        def back() -> None:
            assert child.stdin is not None
            child.stdin.write("\n")
            child.stdin.flush()

        try:
            yield int(child.stdout.readline()), back
        finally:
            child.kill()


CASES: dict[str, Callable[[int, float], Pauses]] = {
    "floor": floor,
    "start": start,
    "steady": steady,
    "backlog": backlog,
}


def in_own_process(case: str, metrics: int, seconds: float) -> dict[str, float]:
    """Measure in a fresh process and folder."""
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.executable, str(Path(__file__).resolve()), "--one", case]
        command += ["--metrics", str(metrics), "--seconds", str(seconds)]
        environ = os.environ | {"TRIMTAB_DIR": folder}
        done = subprocess.run(command, cwd=folder, env=environ, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise SystemExit(f"{case}: exit status {done.returncode}\n{done.stderr}")
    found: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return found


def main() -> None:
    """Measure every case for each number of metrics."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--seconds", type=float, default=5.0, help="seconds a case")
    parser.add_argument("--rounds", type=int, default=3, help="of which the worst counts")
    parser.add_argument("--metrics", type=int, nargs="*", default=METRICS)
    parser.add_argument("--one", choices=CASES, help=argparse.SUPPRESS)
    asked = parser.parse_args()
    if asked.one:
        logging.disable(logging.ERROR)
        print(json.dumps(CASES[asked.one](asked.metrics[0], asked.seconds).summary()))
        return
    for metrics in asked.metrics:
        for case in CASES:
            rounds = [in_own_process(case, metrics, asked.seconds) for _ in range(asked.rounds)]
            worst = max(rounds, key=lambda found: found["hold_max_ms"])
            line = {"benchmark": "gil", "case": case, "metrics": metrics, "seconds": asked.seconds}
            print(json.dumps(line | worst), flush=True)


if __name__ == "__main__":
    main()
