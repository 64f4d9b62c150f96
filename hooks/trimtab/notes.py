"""Small files in the data folder by which the processes of a host, and those that come after them, agree."""

from __future__ import annotations

import fcntl
import os
import time
from pathlib import Path
from typing import Final

_KEPT_SECONDS: Final = 30 * 86400.0


def next_attempt(folder: Path, run: str, rank: int, least: int) -> int:
    """Return an attempt of the run that no process of this rank has used, and note that it is used now.

    Raises:
        OSError: the folder cannot be used.
    """
    with _Noted(_attempt_file(folder, run, rank)) as noted:
        attempt = max(least, noted.last + 1)
        noted.write(attempt)
    return attempt


def note_attempt(folder: Path, run: str, rank: int, attempt: int) -> None:
    """Note that a process has gone on to a further attempt, before anything of it is recorded."""
    with _Noted(_attempt_file(folder, run, rank)) as noted:
        noted.write(max(attempt, noted.last))


def read(file: Path) -> str | None:
    """Return what a file says, None if it is not there or says nothing."""
    try:
        return file.read_text().strip() or None
    except FileNotFoundError:
        return None


def first_writer(file: Path, text: str) -> str:
    """Write the file unless it is there; return what it says.

    Raises:
        OSError: the folder cannot be used.
    """
    own = _written_beside(file, text)
    try:
        os.link(own, file)
    except FileExistsError:
        return file.read_text().strip()
    finally:
        own.unlink()
    return text


def replace(file: Path, text: str) -> None:
    """Write the file, whatever it said before."""
    _written_beside(file, text).replace(file)


def _written_beside(file: Path, text: str) -> Path:
    file.parent.mkdir(parents=True, exist_ok=True)
    _forget_old(file.parent)
    own = file.with_name(f"{file.name}.{os.getpid()}")
    own.write_text(text)
    return own


def _attempt_file(folder: Path, run: str, rank: int) -> Path:
    return folder / "attempts" / f"{run}.r{rank}"


class _Noted:
    """A number in a file, held for as long as the block runs; -1 where there is none."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        _forget_old(path.parent)
        self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)

    def __enter__(self) -> _Noted:
        fcntl.flock(self._descriptor, fcntl.LOCK_EX)
        text = os.pread(self._descriptor, 32, 0).strip()
        self.last = int(text) if text.isdigit() else -1
        return self

    def write(self, number: int) -> None:
        os.pwrite(self._descriptor, b"%-31d\n" % number, 0)

    def __exit__(self, *_: object) -> None:
        os.close(self._descriptor)


def _forget_old(folder: Path) -> None:
    horizon = time.time() - _KEPT_SECONDS
    for path in folder.iterdir():
        if path.stat().st_mtime < horizon:
            path.unlink(missing_ok=True)
