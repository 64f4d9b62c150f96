"""One rank of a host reads its devices; when that is killed another goes on, and nothing is read twice."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from trimtab.guard import Tally
from trimtab.outbound.client import Client
from trimtab.outbound.leftovers import Leftovers
from trimtab.outbound.rejected import Rejected
from trimtab.testing import CollectorDouble, InMemoryTransport, RecordingCollector

pytestmark = pytest.mark.timeout(60)

RANK = """
import sys, time, trimtab
watch = trimtab.watch(project="p")
print("up", flush=True)
while True:
    watch.step(loss=1.0)
    time.sleep(0.01)
"""


@contextmanager
def rank(number: int, url: str, home: Path) -> Iterator[subprocess.Popen[str]]:
    """Run a rank until it is killed, with the block at the latest."""
    environ = {name: value for name, value in os.environ.items() if not name.startswith("TRIMTAB_")}
    environ |= {"TRIMTAB_URL": url, "TRIMTAB_DIR": str(home), "TRIMTAB_RUN": "pair", "TMPDIR": str(home)}
    environ |= {"RANK": str(number), "WORLD_SIZE": "2"}
    command = [sys.executable, "-c", RANK]
    with subprocess.Popen(command, env=environ, stdout=subprocess.PIPE, text=True) as process:
        try:
            assert process.stdout is not None
            assert process.stdout.readline() == "up\n"
            yield process
        finally:
            process.kill()


def readings(collector: CollectorDouble, number: int) -> list[tuple[str, float]]:
    """Return device and time of each reading that a rank sent."""
    return [
        (device.uuid, time)
        for batch in collector.batches("pair", rank=number)
        for device in batch.devices
        for time in device.time
    ]


def test_the_rank_that_reads_is_killed_and_another_goes_on(
    tmp_path: Path, collector: RecordingCollector
) -> None:
    with rank(0, collector.url, tmp_path) as first:
        collector.wait_until(lambda seen: len(readings(seen, 0)) >= 2)
        with rank(1, collector.url, tmp_path):
            collector.wait_until(lambda seen: len(seen.rows("pair", rank=1)) >= 100)
            assert readings(collector, 1) == [], "one reads at a time"
            first.kill()
            collector.wait_until(lambda seen: len(readings(seen, 1)) >= 2)
    root = tmp_path / "spool-remote"
    client = Client(InMemoryTransport(collector))
    Leftovers(root, client, collector.url, Rejected(root, Tally()), lambda _: client).sweep()
    every = readings(collector, 0) + readings(collector, 1)
    assert len(set(every)) == len(every), "no reading twice"
    for uuid in {uuid for uuid, _ in every}:
        before = max(time for device, time in readings(collector, 0) if device == uuid)
        after = min(time for device, time in readings(collector, 1) if device == uuid)
        assert before < after, "the second begins where the first has ended: what lies between is a gap"
