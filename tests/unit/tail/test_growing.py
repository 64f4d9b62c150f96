"""Files that grow, shrink, go and come, as they are read between."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from trimtab_monitor.tail.growing import MOST_AT_ONCE, GrowingFile, Grown


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "log"


def append(path: Path, data: bytes) -> None:
    with path.open("ab") as file:
        file.write(data)


def test_what_is_new_is_read_once(path: Path) -> None:
    file = GrowingFile(path)
    assert file.read() is None
    append(path, b"one\n")
    assert file.read() == Grown(b"one\n")
    assert file.read() is None
    append(path, b"two")
    append(path, b"\nthree\n")
    assert file.read() == Grown(b"two\nthree\n")
    assert file.modified == pytest.approx(path.stat().st_mtime)
    file.close()


def test_much_comes_in_pieces(path: Path) -> None:
    path.write_bytes(b"x" * (MOST_AT_ONCE + 5))
    file = GrowingFile(path)
    sizes = [len(grown.data) for grown in iter(file.read, None)]
    assert sizes == [MOST_AT_ONCE, 5]
    file.close()


@pytest.mark.parametrize("second", [b"short\n", b"longer than what was there before\n"])
def test_one_that_is_written_anew_is_read_from_its_beginning(path: Path, second: bytes) -> None:
    path.write_bytes(b"first and only line\n")
    file = GrowingFile(path)
    file.read()
    path.write_bytes(second)
    assert file.read() == Grown(second, anew=True)
    assert file.read() is None
    file.close()


def test_one_that_is_empty_for_a_while_began_anew_all_the_same(path: Path) -> None:
    path.write_bytes(b"first\n")
    file = GrowingFile(path)
    file.read()
    path.write_bytes(b"")
    assert file.read() is None
    append(path, b"second, and longer\n")
    assert file.read() == Grown(b"second, and longer\n", anew=True)
    file.close()


def test_rotated_the_old_one_is_read_to_its_end_then_the_new_one(path: Path) -> None:
    append(path, b"one\n")
    file = GrowingFile(path)
    file.read()
    append(path, b"two\n")
    path.rename(path.with_name("log.1"))
    assert file.read() == Grown(b"two\n")
    assert file.read() is None
    append(path, b"three\n")
    assert file.read() == Grown(b"three\n", anew=True)
    append(path, b"four\n")
    assert file.read() == Grown(b"four\n")
    file.close()


def test_written_anew_with_the_same_beginning_it_just_grew(path: Path) -> None:
    path.write_bytes(b"a,b\n1,2\n")
    file = GrowingFile(path)
    file.read()
    path.write_bytes(b"a,b\n1,2\n3,4\n")
    assert file.read() == Grown(b"3,4\n")
    file.close()


def test_one_that_cannot_be_read_says_so_and_is_opened_anew(path: Path) -> None:
    append(path, b"one\n")
    file = GrowingFile(path)
    file.read()
    path.unlink()
    path.mkdir()
    for _ in range(2):
        with pytest.raises(OSError, match=os.strerror(21)):
            file.read()
    path.rmdir()
    assert file.read() is None
    append(path, b"two\n")
    assert file.read() == Grown(b"two\n", anew=True)
    file.close()
