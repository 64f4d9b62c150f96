"""A file that another process writes: what is new in it, and whether it began anew."""

from __future__ import annotations

import contextlib
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Final

MOST_AT_ONCE: Final = 1 << 22
_TRAIL: Final = 64
"""So many bytes before the place that was read to are looked at again: were they written anew?"""


@dataclass(frozen=True, slots=True)
class Grown:
    """New bytes; `anew`: they are the first of a file that was truncated, written anew or replaced."""

    data: bytes
    anew: bool = False


class GrowingFile:
    """Reads a file by its name as it grows; one that is not there is waited for.

    What a file still held when another took its name is read first.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.modified = 0.0
        self._descriptor: int | None = None
        self._offset = 0
        self._trail = b""
        self._replaces = False

    def read(self) -> Grown | None:
        """Return what is new, `MOST_AT_ONCE` bytes at most; None: nothing is.

        Raises:
            OSError: it is there, and cannot be read. The next call opens it anew, as a share of a network may
                be back by then.
        """
        try:
            return self._new()
        except OSError:
            self.close()
            self._replaces = True
            raise

    def _new(self) -> Grown | None:
        if self._descriptor is None and not self._open():
            return None
        grown = self._read_on()
        if grown is None and self._is_replaced():
            self.close()
            self._replaces = self._open()
            grown = self._read_on() if self._replaces else None
        return grown

    def close(self) -> None:
        """Close the file."""
        if self._descriptor is not None:
            os.close(self._descriptor)
            self._descriptor = None

    def _open(self) -> bool:
        try:
            self._descriptor = os.open(self.path, os.O_RDONLY | os.O_CLOEXEC)
        except FileNotFoundError:
            return False
        self._offset, self._trail = 0, b""
        return True

    def _read_on(self) -> Grown | None:
        assert self._descriptor is not None
        status = os.fstat(self._descriptor)
        anew = self._replaces
        if status.st_size < self._offset or (status.st_size > self._offset and not self._is_same()):
            self._offset, self._trail, anew = 0, b"", True
        data = os.pread(self._descriptor, MOST_AT_ONCE, self._offset)
        if not data:
            self._replaces = anew
            return None
        self._replaces = False
        self.modified = status.st_mtime
        self._offset += len(data)
        self._trail = (self._trail + data)[-_TRAIL:]
        return Grown(data, anew)

    def _is_same(self) -> bool:
        assert self._descriptor is not None
        return os.pread(self._descriptor, len(self._trail), self._offset - len(self._trail)) == self._trail

    def _is_replaced(self) -> bool:
        """Whether another file has the name now; one that has gone may come back."""
        assert self._descriptor is not None
        with contextlib.suppress(FileNotFoundError):
            now, ours = self.path.stat(), os.fstat(self._descriptor)
            return (now.st_dev, now.st_ino) != (ours.st_dev, ours.st_ino)
        return False
