"""Rings in shared memory whose folder was deleted with what else was in it: nobody would find them there.

They are memory of the machine's, which the workers of data loaders need too, until it is started anew.
"""

from __future__ import annotations

import fcntl
import os
import time
from contextlib import suppress
from pathlib import Path
from typing import Final

from trimtab.outbound.process_dir import RING_PREFIX, SHARED_MEMORY
from trimtab.outbound.ring import PAGE, home_in

STRAY_SECONDS: Final = 86400.0
"""How old such a ring is at least: a container that shares the memory may have folders unseen here."""


def forget_stray(shared_memory: Path = SHARED_MEMORY, least_age: float = STRAY_SECONDS) -> int:
    """Delete the rings of this user's dead processes whose folders are gone; return how many."""
    forgotten = 0
    for place in shared_memory.glob(f"{RING_PREFIX}*"):
        with suppress(OSError):  # it is another user's, or its process lives, or it is gone already
            forgotten += _forget(place, least_age)
    return forgotten


def _forget(place: Path, least_age: float) -> bool:
    descriptor = os.open(place, os.O_RDWR | os.O_NOFOLLOW | os.O_CLOEXEC)
    try:
        found = os.fstat(descriptor)
        if found.st_uid != os.getuid() or time.time() - found.st_mtime < least_age:
            return False
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        home = home_in(os.pread(descriptor, PAGE, 0))
        if home is None or os.path.lexists(home):
            return False
        place.unlink()
        return True
    finally:
        os.close(descriptor)
