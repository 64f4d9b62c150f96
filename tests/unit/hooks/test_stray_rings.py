"""What stays in shared memory of a folder that was deleted is deleted too, and nothing else is."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from trimtab.outbound.process_dir import RING_PREFIX
from trimtab.outbound.ring import PAGE, Ring
from trimtab.outbound.stray_rings import forget_stray

DAY = 86400.0


@pytest.fixture
def shared(tmp_path: Path) -> Path:
    folder = tmp_path / "shm"
    folder.mkdir()
    return folder


def ring_of(home: Path | None, shared: Path, name: str = "r.r0.1.ab", days: float = 2.0) -> tuple[Ring, Path]:
    """Make a ring as a process that began so many days ago did."""
    place = shared / f"{RING_PREFIX}{name}"
    ring = Ring.create(place, PAGE)
    if home is not None:
        home.mkdir()
        ring.note_home(home)
    then = place.stat().st_mtime - days * DAY
    os.utime(place, (then, then))
    return ring, place


def test_the_ring_of_a_dead_process_whose_folder_is_gone_is_deleted(tmp_path: Path, shared: Path) -> None:
    ring, place = ring_of(tmp_path / "hömé", shared)
    ring.close()
    assert forget_stray(shared) == 0, "its folder is there"
    shutil.rmtree(tmp_path / "hömé")
    assert forget_stray(shared) == 1
    assert not place.exists()


def test_the_ring_of_a_process_that_lives_stays(tmp_path: Path, shared: Path) -> None:
    ring, place = ring_of(tmp_path / "home", shared)
    (tmp_path / "home").rmdir()
    assert forget_stray(shared) == 0
    assert place.exists()
    ring.close()
    assert forget_stray(shared) == 1


def test_a_young_ring_stays(tmp_path: Path, shared: Path) -> None:
    ring, _ = ring_of(tmp_path / "home", shared, days=0.5)
    ring.close()
    (tmp_path / "home").rmdir()
    assert forget_stray(shared) == 0


def test_what_is_no_ring_or_says_no_folder_stays(tmp_path: Path, shared: Path) -> None:
    ring, older = ring_of(None, shared)
    ring.close()
    other = shared / f"{RING_PREFIX}of-somebody-else"
    other.write_bytes(b"x" * 2 * PAGE)
    link = shared / f"{RING_PREFIX}link"
    link.symlink_to(tmp_path / "file")
    for path in (other, link):
        os.utime(path, (1.0, 1.0), follow_symlinks=False)
    assert forget_stray(shared) == 0
    assert older.exists()
    assert other.exists()


def test_where_there_is_no_shared_memory_there_is_nothing_to_do(tmp_path: Path) -> None:
    assert forget_stray(tmp_path / "none") == 0
