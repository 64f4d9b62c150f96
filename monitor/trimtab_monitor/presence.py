"""One collector a folder: its lock, and the file that says where it is."""

from __future__ import annotations

import fcntl
import os
from pathlib import Path
from typing import Self

import msgspec

from trimtab.embedded import ADDRESS, LOCK, CollectorAddress, read_address
from trimtab.identity import host_name


class FolderUnusable(ValueError):  # noqa: N818 - a state, told as such
    """The folder cannot be made or written to; the message says why and what to do."""


class FolderTaken(RuntimeError):  # noqa: N818 - a state, told as such
    """Another collector works in the folder; the message says which and what to do."""


class FolderLock:
    """The folder's lock, held until `release` or the end of the process, however that comes."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor

    @classmethod
    def take(cls, folder: Path) -> Self:
        """Take the lock.

        Raises:
            FolderUnusable: the folder cannot be made or written to.
            FolderTaken: somebody else holds the lock.
        """
        try:
            folder.mkdir(parents=True, exist_ok=True)
            descriptor = os.open(folder / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise FolderUnusable(_unusable(folder, error)) from None
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(descriptor)
            raise FolderTaken(_taken(folder)) from None
        return cls(descriptor)

    def release(self) -> None:
        """Let go of it."""
        os.close(self._descriptor)


def _unusable(folder: Path, error: OSError) -> str:
    file = next((path for path in (folder, *folder.parents) if path.exists() and not path.is_dir()), None)
    if file is not None:
        return f"{folder}: {file} is a file; give another --dir, or move the file away"
    if not folder.is_dir():
        return f"{folder}: the folder cannot be made ({error.strerror}); give another --dir"
    if not os.access(folder, os.W_OK | os.X_OK):
        return f"{folder}: {error.strerror}; make the folder writable, or give another --dir"
    return f"{folder}: no file can be made there ({error.strerror}); give another --dir"


def _taken(folder: Path) -> str:
    address = read_address(folder)
    who = "another collector" if address is None else f"a collector at {address.url} (process {address.pid})"
    return f"{who} works in {folder}: use that one, stop it, or give another --dir"


def announce(folder: Path, url: str) -> None:
    """Write where this collector is, for jobs and commands to find it; it stays there, for the port."""
    unfinished = folder / f"{ADDRESS}.{os.getpid()}"
    unfinished.write_bytes(msgspec.json.encode(CollectorAddress(url, os.getpid(), host_name())))
    unfinished.replace(folder / ADDRESS)
