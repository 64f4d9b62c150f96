"""What is found of a dead process: delivered, or left to whom it belongs, and never lost without a word."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from trimtab import wire
from trimtab.identity import RunIdentity, host_name
from trimtab.outbound.process_dir import ProcessDir, folders
from trimtab.outbound.recovery import sweep
from trimtab.outbound.ring import PAGE, Ring
from trimtab.outbound.spool import FileSpool, SpoolRecord


def dead(root: Path, run: str) -> Path:
    """Leave the folder of a dead process: three rows in its spool, none in its ring."""
    made = ProcessDir.create(root, RunIdentity(run, 0, 0, 1, host_name(), "boot"))
    made.define_set(2, ("loss",))
    Ring.create(made.path / "ring", PAGE).close()
    body = wire.encode(wire.Batch(0, 0))
    FileSpool(made.path, 2**20).append(SpoolRecord(0, 0, 3, 0, body))
    made.release()
    return made.path


class Taken:
    """Takes whatever is delivered."""

    def __init__(self) -> None:
        self.batches: list[tuple[str, wire.Batch]] = []

    def __call__(self, identity: RunIdentity, record: SpoolRecord) -> None:
        self.batches.append((identity.run, wire.decode(record.body)))

    def events(self, run: str) -> list[str]:
        return [event["kind"] for name, batch in self.batches if name == run for event in batch.events]


def overwrite(path: Path, offset: int, data: bytes) -> None:
    with path.open("r+b") as file:
        file.seek(offset)
        file.write(data)


def test_a_ring_of_another_version_is_left_and_told_once_while_others_are_delivered(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    newer, _ = dead(tmp_path, "newer"), dead(tmp_path, "plain")
    overwrite(newer / "ring", 8, (99).to_bytes(8, "little"))
    taken = Taken()
    for _ in range(3):
        sweep(tmp_path, taken)
    assert {run for run, _ in taken.batches} == {"plain"}
    assert folders(tmp_path) == [newer]
    assert caplog.text.count("a ring file of version 99") == 1


@pytest.mark.parametrize("harm", ["damaged", "gone"])
def test_a_ring_that_cannot_be_read_is_told_to_the_collector_with_the_death(
    tmp_path: Path, harm: str, caplog: pytest.LogCaptureFixture
) -> None:
    path = dead(tmp_path, "run")
    if harm == "gone":
        (path / "ring").unlink()
    else:
        overwrite(path / "ring", 0, b"RUBBISH!")
    taken = Taken()
    assert sweep(tmp_path, taken).processes == 1
    assert taken.events("run") == [wire.HOOK_ERROR, "process_died"]
    assert [batch.seq for _, batch in taken.batches] == [0, 1]
    assert "its last rows are lost" in caplog.text
    assert folders(tmp_path) == []


@pytest.mark.skipif(os.geteuid() == 0, reason="nothing is denied to root")
def test_a_folder_of_another_users_is_passed_over(tmp_path: Path) -> None:
    theirs, _ = dead(tmp_path, "theirs"), dead(tmp_path, "plain")
    (theirs / "lock").chmod(0)
    taken = Taken()
    sweep(tmp_path, taken)
    assert {run for run, _ in taken.batches} == {"plain"}
    assert folders(tmp_path) == [theirs]
