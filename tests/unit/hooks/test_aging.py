"""What waits for a collector that never comes is deleted after a while, counted and told."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from trimtab.guard import Tally
from trimtab.identity import RunIdentity, host_name
from trimtab.outbound.aging import CROWDED_OUT, DAY_SECONDS, EXPIRED, Keep, forget_old
from trimtab.outbound.process_dir import ProcessDir, folders
from trimtab.outbound.ring import Ring
from trimtab.outbound.spool import FileSpool, SpoolRecord

GIB = 2**30


def dead(root: Path, run: str, rows: int, age_days: float = 0.0, host: str | None = None) -> Path:
    """Leave the folder of a dead process with so many rows in its spool."""
    made = ProcessDir.create(root, RunIdentity(run, 0, 0, 1, host or host_name(), "boot"))
    Ring.create(made.path / "ring", 64 * 1024).close()
    FileSpool(made.path, GIB).append(SpoolRecord(0, 0, rows, 0, b"\x81\xa0\xc0" * 10_000))
    made.release()
    then = made.path.stat().st_mtime - age_days * DAY_SECONDS
    for path in (*made.path.iterdir(), made.path):
        os.utime(path, (then, then), follow_symlinks=False)
    return made.path


def left(root: Path) -> set[str]:
    return {path.name.partition(".")[0] for path in folders(root)}


def test_what_is_too_old_is_deleted_and_its_steps_are_counted(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    dead(tmp_path, "old", rows=7, age_days=31)
    dead(tmp_path, "young", rows=5, age_days=29)
    drops = Tally()
    forget_old(tmp_path, Keep(30 * DAY_SECONDS, GIB), drops)
    assert left(tmp_path) == {"young"}
    assert drops.take() == {(EXPIRED, "steps of run old, rank 0"): 7}
    assert "old: 7 steps of a dead process are deleted" in caplog.text


def test_of_too_much_the_oldest_goes_first(tmp_path: Path) -> None:
    for age, run in enumerate(("newest", "newer", "older", "oldest")):
        dead(tmp_path, run, rows=1, age_days=age)
    drops = Tally()
    forget_old(tmp_path, Keep(30 * DAY_SECONDS, 250_000), drops)
    assert left(tmp_path) == {"newest", "newer"}
    assert {what for what, _ in drops.take()} == {CROWDED_OUT}


def test_a_live_process_and_another_host_keep_theirs(tmp_path: Path) -> None:
    live = ProcessDir.create(tmp_path, RunIdentity("live", 0, 0, 1, host_name(), "boot"))
    dead(tmp_path, "elsewhere", rows=1, host="another-host")
    drops = Tally()
    forget_old(tmp_path, Keep(-1.0, 0), drops)
    assert left(tmp_path) == {"live", "elsewhere"}
    assert drops.take() == {}
    live.remove()


def test_a_spool_forgets_what_was_written_too_long_ago_but_for_the_segment_it_writes(tmp_path: Path) -> None:
    spool = FileSpool(tmp_path, 2**20, keep_seconds=DAY_SECONDS)
    for seq in range(6):
        spool.append(SpoolRecord(0, seq, 10, seq, bytes(40_000)))
    segments = sorted(tmp_path.glob("spool-*.seg"))
    assert len(segments) == 3
    assert spool.first() is not None
    assert spool.expire() == 0
    for segment in segments[:2]:
        os.utime(segment, (0, 0))
    os.utime(segments[2], (0, 0))
    spool.confirm()
    assert spool.expire() == 30, "one of the four in the two old segments was confirmed"
    first = spool.first()
    assert first is not None
    assert first.seq == 4
    assert FileSpool(tmp_path, 2**20).first() == first, "it stays forgotten"
