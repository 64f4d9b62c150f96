"""A spool that goes on in memory while the disk fails, and returns to the disk when it works again."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final

from trimtab.outbound.spool import MemorySpool, Spool, SpoolRecord

DISK_AGAIN_SECONDS: Final = 30.0


class SteadySpool:
    """Appends to `disk`, and to `memory` from the first failure until what is there has been sent.

    `disk` is None where no folder could be made. `on_trouble` is told of each failure of the disk. What is in
    memory dies with the process: that is all that is lost.
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

    def append(self, record: SpoolRecord) -> None:
        """Put a batch at the end, on the disk if it can be."""
        if self._disk is not None and self._memory.first() is None and self._clock() >= self._disk_again:
            try:
                self._disk.append(record)
            except OSError as error:
                self._disk_again = self._clock() + DISK_AGAIN_SECONDS
                self._on_trouble(error)
            else:
                return
        self._memory.append(record)

    def first(self) -> SpoolRecord | None:
        """Return the oldest batch that is not confirmed: what is on the disk came first."""
        if self._disk is not None:
            record = self._disk.first()
            if record is not None:
                self._first_from = self._disk
                return record
        self._first_from = self._memory
        return self._memory.first()

    def confirm(self) -> None:
        """Forget the batch that `first` gave."""
        self._first_from.confirm()

    @property
    def full(self) -> bool:
        """Tell whether the place that a batch would go to now has reached its bound."""
        if self._disk is None or self._memory.first() is not None or self._clock() < self._disk_again:
            return self._memory.full
        return self._disk.full
