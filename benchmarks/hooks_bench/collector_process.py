"""A recording collector in a process of its own, so that it takes no turns with the training loop.

    python -m hooks_bench.collector_process

It says its address, and when its input ends, how many steps it has.
"""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from hooks_bench.processes import import_path
from trimtab.testing import RecordingCollector


@dataclass(slots=True)
class Collector:
    """Where it is, and after the block, how many different steps it has got."""

    url: str
    steps: int = 0


@contextmanager
def collector_process() -> Iterator[Collector]:
    """Run a collector for the length of a block."""
    with subprocess.Popen(
        [sys.executable, "-m", "hooks_bench.collector_process"],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env=os.environ | import_path(),
    ) as child:
        assert child.stdout is not None, "it is a pipe"
        collector = Collector(child.stdout.readline().strip())
        try:
            yield collector
        finally:
            said, _ = child.communicate()
            collector.steps = int(said)


def main() -> None:
    """Collect until the input ends."""
    with RecordingCollector().running() as collector:
        print(collector.url, flush=True)
        sys.stdin.read()
        print(len(set(collector.rows())))


if __name__ == "__main__":
    main()
