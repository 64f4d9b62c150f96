"""What a job loses when the collector and the disk fail together is counted; nothing else is lost."""

from __future__ import annotations

from pathlib import Path

import pytest

from trimtab.guard import Guard, Tally
from trimtab.identity import RunIdentity, host_name
from trimtab.outbound.client import Client
from trimtab.outbound.drainer import NoSampler
from trimtab.outbound.leftovers import Leftovers
from trimtab.outbound.pipeline import Bounds, Ends, Pipeline
from trimtab.outbound.process_dir import folders
from trimtab.outbound.rejected import REFUSED, Rejected
from trimtab.outbound.ring import NOT_KEPT
from trimtab.outbound.transport import Answer, Transport, UnreachableError
from trimtab.testing import CollectorDouble, InMemoryTransport, problem

MIB = 2**20
IDENTITY = RunIdentity("run", 0, 0, 1, host_name(), "boot", {"project": "p"}, "http://c")


class Nowhere:
    """A collector that is away."""

    def post(self, path: str, body: bytes, content_type: str) -> Answer:
        raise UnreachableError(path)


def pipeline(root: Path, transport: Transport) -> Pipeline:
    ends = Ends(transport, NoSampler(), lambda: False, lambda _: None, lambda _: None)
    return Pipeline(IDENTITY, root, Bounds(MIB, MIB), ends, Guard())


def deliver(root: Path, collector: CollectorDouble) -> None:
    client = Client(InMemoryTransport(collector))
    Leftovers(root, client, IDENTITY.url, Rejected(root, Tally()), lambda _: client).sweep()


def refuse_writes(root: Path) -> Path:
    """Put a folder where the spool's first file should be: every write there fails."""
    (home,) = folders(root)
    place = home / "spool-00000001.seg"
    place.mkdir()
    return place


def record_three_steps(path: Pipeline) -> None:
    path.start()
    for step in (1, 2, 3):
        path.recorder.row(step, float(step), {"loss": 1.0})


def test_steps_that_neither_the_collector_nor_the_disk_takes_are_counted(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = pipeline(tmp_path, Nowhere())
    place = refuse_writes(tmp_path)
    record_three_steps(path)
    path.close(5.0)
    assert "3 steps, lost: the disk did not take them" in caplog.text
    place.rmdir()
    collector = CollectorDouble()
    deliver(tmp_path, collector)
    (dropped,) = collector.events("samples_dropped")
    assert (dropped["count"], dropped["reason"]) == (3, NOT_KEPT)


def test_a_job_whose_collector_is_away_keeps_its_steps_on_disk(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    path = pipeline(tmp_path, Nowhere())
    record_three_steps(path)
    path.close(5.0)
    assert "lost" not in caplog.text
    collector = CollectorDouble()
    deliver(tmp_path, collector)
    assert collector.rows() == [1, 2, 3]
    assert collector.events("samples_dropped") == []


def test_steps_that_the_collector_refuses_at_the_end_are_counted_by_whoever_comes_next(
    tmp_path: Path,
) -> None:
    refusing, collector = CollectorDouble(), CollectorDouble()
    refusing.replies = [lambda: None, lambda: problem(400, "no such thing")]
    path = pipeline(tmp_path, InMemoryTransport(refusing))
    for step in (1, 2, 3):
        path.recorder.row(step, float(step), {"loss": 1.0})
    path.start()
    path.close(5.0)
    deliver(tmp_path, collector)
    (dropped,) = collector.events("samples_dropped")
    assert dropped["count"] == 3
    assert dropped["reason"].startswith(REFUSED)
