"""A process's folder is found by others once its owner is gone, and only then."""

from __future__ import annotations

import os
import resource
import shutil
import signal
from collections.abc import Callable
from pathlib import Path

import pytest

from trimtab.identity import RunIdentity
from trimtab.outbound.process_dir import ProcessDir, folders, read_meta
from trimtab.outbound.ring import PAGE, home_in

IDENTITY = RunIdentity("run", 1, 2, 3, "host", "boot", {"project": "p", "config": {"lr": 0.1}}, "http://c")


def test_a_folder_says_whose_it_is_and_what_its_rows_mean(tmp_path: Path) -> None:
    made = ProcessDir.create(tmp_path, IDENTITY)
    made.define_set(2, ("loss", "lr"))
    made.define_set(3, ("loss", "grad_norm/é"))
    assert read_meta(made.path) == (IDENTITY, {2: ("loss", "lr"), 3: ("loss", "grad_norm/é")})
    assert folders(tmp_path) == [made.path]


@pytest.mark.parametrize("tail", [b'{"set": 4, "na', b"\xff\xfe", b"7\n", b'{"set": 4'])
def test_a_torn_line_spoils_no_other(tmp_path: Path, tail: bytes) -> None:
    made = ProcessDir.create(tmp_path, IDENTITY)
    with (made.path / "meta.jsonl").open("ab") as meta:
        meta.write(tail)
    made.define_set(5, ("loss",))
    assert read_meta(made.path) == (IDENTITY, {5: ("loss",)})


def test_an_identity_that_cannot_be_read_is_none(tmp_path: Path) -> None:
    (tmp_path / "meta.jsonl").write_text('{"identity": {"run": "a b", "attempt": 0}}\n')
    assert read_meta(tmp_path) == (None, {})
    assert read_meta(tmp_path / "nowhere") == (None, {})


def test_a_folder_is_taken_only_when_its_owner_has_let_go(tmp_path: Path) -> None:
    made = ProcessDir.create(tmp_path, IDENTITY)
    assert ProcessDir.take(made.path) is None
    made.release()
    taken = ProcessDir.take(made.path)
    assert taken is not None
    assert ProcessDir.take(made.path) is None
    taken.remove()
    assert ProcessDir.take(made.path) is None
    assert list(tmp_path.iterdir()) == []


def test_what_never_became_a_folder_is_cleared_away_later(tmp_path: Path) -> None:
    for name in (".new-old", ".new-fresh", "rejected"):
        (tmp_path / name).mkdir()
    os.utime(tmp_path / ".new-old", (0, 0))
    assert folders(tmp_path) == []
    assert sorted(path.name for path in tmp_path.iterdir()) == [".new-fresh", "rejected"]


def test_the_ring_is_in_shared_memory_where_there_is_room(tmp_path: Path) -> None:
    made = ProcessDir.create(tmp_path / "root", IDENTITY)
    assert made.place_for_ring(1000, tmp_path / "nowhere") == made.path / "ring"
    assert made.place_for_ring(1000, tmp_path, spare=2**60) == made.path / "ring"
    place = made.place_for_ring(1000, tmp_path, spare=0)
    place.write_text("ring")
    assert place.parent == tmp_path
    assert (made.path / "ring").read_text() == "ring"
    made.remove()
    assert not place.exists()


def test_a_ring_says_which_folder_it_belongs_to(tmp_path: Path) -> None:
    made = ProcessDir.create(tmp_path / "root", IDENTITY)
    ring = made.make_ring(PAGE)
    assert home_in(ring.memory[:PAGE]) == made.path
    ring.close()
    made.remove()


@pytest.mark.parametrize("end", [ProcessDir.remove, ProcessDir.release])
def test_the_ring_goes_with_a_folder_that_was_deleted_under_its_owner(
    tmp_path: Path, end: Callable[[ProcessDir], None]
) -> None:
    made = ProcessDir.create(tmp_path / "root", IDENTITY)
    place = made.place_for_ring(1000, tmp_path, spare=0)
    place.write_text("ring")
    shutil.rmtree(tmp_path / "root")
    end(made)
    assert not place.exists()


def test_a_folder_that_is_left_to_others_keeps_its_ring(tmp_path: Path) -> None:
    made = ProcessDir.create(tmp_path / "root", IDENTITY)
    place = made.place_for_ring(1000, tmp_path, spare=0)
    place.write_text("ring")
    made.release()
    assert place.exists()


def test_a_folder_that_cannot_be_finished_leaves_nothing(tmp_path: Path) -> None:
    """The limit on the size of a file stands in for a disk that is full."""
    previous = signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (0, limits[1]))
    try:
        with pytest.raises(OSError, match="File too large"):
            ProcessDir.create(tmp_path, IDENTITY)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
        signal.signal(signal.SIGXFSZ, previous)
    assert list(tmp_path.iterdir()) == []
