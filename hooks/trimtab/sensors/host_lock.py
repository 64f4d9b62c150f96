"""A lock that one process of a host holds at a time, freed by the kernel when its owner dies."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path


class HostLock:
    """An exclusive `flock` on a file; the file is there only while somebody holds or wants it."""

    def __init__(self, path: Path) -> None:
        self._path = path
        self._descriptor: int | None = None

    @property
    def held(self) -> bool:
        """Whether this object holds the lock."""
        return self._descriptor is not None

    def take(self) -> bool:
        """Take the lock if it is free; never waits.

        Raises:
            OSError: the file cannot be made or locked, for a reason other than that it is held.
        """
        if self._descriptor is not None:
            return True
        descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        if _locked(descriptor) and _is_at(descriptor, self._path):
            self._descriptor = descriptor
            return True
        os.close(descriptor)
        return False

    def free(self) -> None:
        """Give the lock back and remove its file; without the lock, do nothing."""
        if self._descriptor is not None:
            self._path.unlink(missing_ok=True)  # while it is held: nobody else's can be removed
            os.close(self._descriptor)
            self._descriptor = None


def _locked(descriptor: int) -> bool:
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _is_at(descriptor: int, path: Path) -> bool:
    """Tell whether the open file is still the one at `path`: its last owner may have removed it."""
    try:
        there = path.stat()
    except FileNotFoundError:
        return False
    here = os.fstat(descriptor)
    return (here.st_dev, here.st_ino) == (there.st_dev, there.st_ino)
