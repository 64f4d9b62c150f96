"""What one process leaves on disk for whoever comes after it: one folder, held by a lock while it lives.

<spool root>/<run>.r<rank>.<pid>.<hex>/
    lock            held by flock while the process lives; the kernel frees it however the process dies
    meta.jsonl      who it is; then each set of metric names, before the first row that needs it
    ring            the last seconds (see ring.py)
    ring.1, ring.2  the larger ones that came after it (see rings.py)
    spool-*.seg     batches that the collector has not confirmed yet (see spool.py)
"""

from __future__ import annotations

import errno
import fcntl
import os
import secrets
import shutil
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import msgspec

from trimtab.identity import RunIdentity
from trimtab.outbound.ring import Ring

LOCK: Final = "lock"
META: Final = "meta.jsonl"
RING: Final = "ring"
REJECTED: Final = "rejected"
SHARED_MEMORY: Final = Path("/dev/shm")  # noqa: S108  (not a temporary file: it is found by its link)
SPARE_BYTES: Final = 2**29
"""What must stay free there: the workers of a data loader need it too."""
RING_PREFIX: Final = "trimtab-"
_UNFINISHED: Final = ".new-"
_UNFINISHED_SECONDS: Final = 60.0


class ProcessDir:
    """One process's folder, locked by this object until `release`."""

    def __init__(self, path: Path, lock: int) -> None:
        self.path = path
        self._lock: int | None = lock
        self._rings_elsewhere = _rings_elsewhere(path)

    @classmethod
    def create(cls, root: Path, identity: RunIdentity) -> ProcessDir:
        """Make and lock the folder of the calling process.

        It is made under another name and renamed once it is locked, so that no one finds it without its
        owner.

        Raises:
            OSError: the folder cannot be made or locked there.
        """
        name = f"{identity.run}.r{identity.rank}.{identity.pid}.{secrets.token_hex(3)}"
        root.mkdir(parents=True, exist_ok=True)
        unfinished = root / (_UNFINISHED + name)
        unfinished.mkdir()
        try:
            lock = os.open(unfinished / LOCK, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError:
            shutil.rmtree(unfinished, ignore_errors=True)
            raise
        made = cls(unfinished, lock)
        try:
            made._begin(root / name, identity)
        except OSError:
            made.remove()
            raise
        return made

    def _begin(self, path: Path, identity: RunIdentity) -> None:
        """Lock the folder, say whose it is, and give it the name under which others find it."""
        assert self._lock is not None, "it is open until it is released"
        fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        self._append({"identity": identity})
        self.path.rename(path)
        self.path = path

    @classmethod
    def take(cls, path: Path) -> ProcessDir | None:
        """Lock the folder of a process that is dead; None: it lives, or another has taken the folder.

        Raises:
            PermissionError: it is another user's.
        """
        try:
            lock = os.open(path / LOCK, os.O_RDWR | os.O_CLOEXEC)
        except (FileNotFoundError, NotADirectoryError):
            return None
        try:
            fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            os.close(lock)
            return None
        if os.fstat(lock).st_nlink == 0:  # delivered and deleted by another between our open and our lock
            os.close(lock)
            return None
        return cls(path, lock)

    def make_ring(self, capacity: int, number: int = 0) -> Ring:
        """Make a ring of this process's, the first being 0.

        A later one takes memory as far as it is used only: a burst may need little of it.

        Raises:
            OSError: there is no room for it.
        """
        place = self.place_for_ring(capacity, number=number)
        try:
            ring = Ring.create(place, capacity, touched=number == 0)
        except OSError:
            place.unlink(missing_ok=True)
            raise
        ring.note_home(self.path.absolute())
        return ring

    def drop_ring(self, number: int) -> None:
        """Delete a ring of which nothing is needed any more."""
        link = self.path / ring_name(number)
        place = self._rings_elsewhere.pop(link.name, link)
        place.unlink(missing_ok=True)
        link.unlink(missing_ok=True)

    def place_for_ring(
        self, size: int, shared_memory: Path = SHARED_MEMORY, spare: int = SPARE_BYTES, number: int = 0
    ) -> Path:
        """Return where to make a ring file, of about `size` bytes; `ring` in the folder leads there.

        It is in shared memory if at least `spare` bytes stay free there, else in the folder.

        Shared memory outlives the process as a disk does, and a store to it never waits for one: pages of a
        file on a busy disk, or on a network's, can hold the training thread for as long as they are being
        written.
        """
        link = self.path / ring_name(number)
        if not _has_room(shared_memory, size + spare):
            return link
        place = shared_memory / f"{RING_PREFIX}{self.path.name}{link.suffix}"
        link.symlink_to(place)
        self._rings_elsewhere[link.name] = place
        return place

    def define_set(self, kind: int, names: tuple[str, ...]) -> None:
        """Write down the names of a set of metrics."""
        self._append({"set": kind, "names": names})

    def _append(self, line: dict[str, Any]) -> None:
        descriptor = os.open(self.path / META, os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            # A torn line before it must not spoil this one.
            text = b"\n" + msgspec.json.encode(line) + b"\n"
            if os.write(descriptor, text) != len(text):
                raise OSError(errno.ENOSPC, "no room for a line", str(self.path / META))
        finally:
            os.close(descriptor)

    def abandon(self) -> None:
        """Close this process's copy of the lock without freeing it: in a child, whose parent holds it."""
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def release(self) -> None:
        """Free the lock: whoever looks next may deliver what is left.

        Where the folder has been deleted under its owner nobody looks, and the ring would stay for ever.
        """
        if self._lock is not None and os.fstat(self._lock).st_nlink == 0:
            self._unlink_rings()
        self.abandon()

    def remove(self) -> None:
        """Delete the folder, all of it being safe at the collector, and free the lock.

        It is renamed first: killed in the middle, this leaves nothing that looks like a folder to deliver.
        """
        self._unlink_rings()
        doomed = self.path.with_name(_UNFINISHED + self.path.name)
        try:
            self.path.rename(doomed)
        except OSError:
            doomed = self.path
        shutil.rmtree(doomed, ignore_errors=True)
        self.release()

    def _unlink_rings(self) -> None:
        for place in self._rings_elsewhere.values():
            place.unlink(missing_ok=True)
        self._rings_elsewhere.clear()


def ring_name(number: int) -> str:
    """Return the name of a ring in its folder."""
    return f"{RING}.{number}" if number else RING


def rings_in(path: Path) -> list[Path]:
    """List where the rings of a folder are, in the order in which they were written; one may be gone."""
    numbered = [entry for entry in path.glob(f"{RING}.*") if entry.suffix[1:].isdecimal()]
    return [path / RING, *sorted(numbered, key=lambda entry: int(entry.suffix[1:]))]


def _rings_elsewhere(path: Path) -> dict[str, Path]:
    """Return where the links in a folder lead, of those to rings of ours in shared memory."""
    return {
        ring.name: ring.readlink()
        for ring in rings_in(path)
        if ring.is_symlink() and ring.readlink().name.startswith(RING_PREFIX)
    }


def _has_room(folder: Path, size: int) -> bool:
    try:
        found = os.statvfs(folder)
    except OSError:
        return False
    return found.f_bavail * found.f_frsize >= size and os.access(folder, os.W_OK)


def read_meta(path: Path) -> tuple[RunIdentity | None, dict[int, tuple[str, ...]]]:
    """Read who a folder's process was, and its sets of metric names; a torn last line is left out."""
    identity: RunIdentity | None = None
    sets: dict[int, tuple[str, ...]] = {}
    for line in _lines(path / META):
        if "identity" in line:
            identity = _identity(line["identity"])
        elif "set" in line:
            sets[int(line["set"])] = tuple(line["names"])
    return identity, sets


def _identity(raw: object) -> RunIdentity | None:
    try:
        return msgspec.convert(raw, RunIdentity)
    except msgspec.ValidationError:
        return None


def _lines(path: Path) -> Iterator[dict[str, Any]]:
    try:
        text = path.read_bytes()
    except FileNotFoundError:
        return
    for raw in text.split(b"\n"):
        try:
            line = msgspec.json.decode(raw)
        except msgspec.DecodeError:
            continue
        if isinstance(line, dict):
            yield line


def folders(root: Path) -> list[Path]:
    """List the folders of processes under a spool root, oldest first; clear away those never finished."""
    found: list[tuple[float, Path]] = []
    for path in root.iterdir() if root.is_dir() else ():
        if path.name == REJECTED or not path.is_dir():
            continue
        try:
            changed = path.stat().st_mtime
        except FileNotFoundError:
            continue
        if not path.name.startswith("."):
            found.append((changed, path))
        elif path.name.startswith(_UNFINISHED) and time.time() - changed > _UNFINISHED_SECONDS:
            shutil.rmtree(path, ignore_errors=True)
    return [path for _, path in sorted(found)]
