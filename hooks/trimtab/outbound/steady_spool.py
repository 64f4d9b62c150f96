"""A spool that goes on in memory while the disk fails, and returns to the disk when it works again."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Final

from trimtab.outbound.spool import MemorySpool, Spool, SpoolRecord

DISK_AGAIN_SECONDS: Final = 30.0


class SteadySpool:
    """Appends to `disk`, and to `memory` while the disk fails; then what is in memory goes to the disk first.

    `disk` is None where no folder could be made. `on_trouble` is told of each failure of the disk. What is in
    memory dies with the process: that is all that is lost. One thread appends, another sends.
    """

    def __init__(
        self,
        disk: Spool | None,
        memory: MemorySpool,
        on_trouble: Callable[[OSError], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._disk = disk
        self._memory = memory
        self._on_trouble = on_trouble
        self._clock = clock
        self._disk_again = 0.0
        self._first_from: Spool = memory
        self._lock = threading.RLock()
        """Held where a batch may change its place: the sender confirms it where it is by then."""

    def append(self, record: SpoolRecord) -> None:
        """Put a batch at the end, on the disk if it can be."""
        if self._clock() >= self._disk_again and self._to_disk(record):
            return
        self._memory.append(record)

    def flush(self) -> int:
        """Try once more to move to the disk what is in memory; return how many steps stay there."""
        self._to_disk()
        return self._memory.rows

    def first(self) -> SpoolRecord | None:
        """Return the oldest batch that is not confirmed: what is on the disk came first."""
        with self._lock:
            if self._disk is not None:
                record = self._disk.first()
                if record is not None:
                    self._first_from = self._disk
                    return record
            self._first_from = self._memory
            return self._memory.first()

    def confirm(self) -> None:
        """Forget the batch that `first` gave."""
        with self._lock:
            self._first_from.first()  # a batch that has been moved since is not read there yet
            self._first_from.confirm()

    def expire(self) -> int:
        """Forget what has waited for too long on the disk; return how many steps that were."""
        with self._lock:
            return 0 if self._disk is None else self._disk.expire()

    @property
    def full(self) -> bool:
        """Tell whether the place that a batch would go to now has reached its bound."""
        if self._disk is None or self._clock() < self._disk_again:
            return self._memory.full
        return self._disk.full

    def _to_disk(self, *after: SpoolRecord) -> bool:
        """Move what is in memory to the disk, then append `after`; False: the disk did not take it all."""
        if self._disk is None:
            return False
        try:
            while self._move_first(self._disk):
                pass
            for record in after:
                self._disk.append(record)
        except OSError as error:
            self._disk_again = self._clock() + DISK_AGAIN_SECONDS
            self._on_trouble(error)
            return False
        return True

    def _move_first(self, disk: Spool) -> bool:
        with self._lock:
            record = self._memory.first()
            if record is None:
                return False
            disk.append(record)
            self._memory.confirm()
            # Nothing was on the disk if the sender holds this batch: it is the first there now.
            self._first_from = disk
            return True
