"""The rings that a dead process left in its folder, read one after the other."""

from __future__ import annotations

import logging
from collections.abc import Iterator
from pathlib import Path

from trimtab.guard import reason_of
from trimtab.outbound.process_dir import rings_in
from trimtab.outbound.ring import (
    Ring,
    RingError,
    RingReader,
    RingVersionError,
    Slot,
    Stretch,
    UnfinishedRingError,
)

LOG = logging.getLogger("trimtab")


class FoundRings:
    """Opens all rings of a folder that can be read; `problems` says why others cannot.

    `attempt` and `seq` are those that the process would have given to its next batch, `ended` whether it had
    told that its run ended; `tail` is the position up to which its spool goes.

    Raises:
        RingVersionError: one is for another version of Trimtab to read.
    """

    def __init__(self, path: Path) -> None:
        self.problems: list[str] = []
        self._rings: list[Ring] = []
        try:
            unfinished = sum(self._open(place) for place in rings_in(path))
        except RingVersionError:
            self.close()
            raise
        if not self._rings and not self.problems and not unfinished:
            self._lost(path, FileNotFoundError("it is not there: the machine was started anew, perhaps"))
        self.attempt, self.seq = max(
            ((ring[Slot.ATTEMPT], ring[Slot.NEXT_SEQ]) for ring in self._rings), default=(0, 0)
        )
        self.ended = any(ring[Slot.ENDED] for ring in self._rings)
        self.tail = max((ring[Slot.TAIL] for ring in self._rings), default=0)

    @property
    def dropped(self) -> int:
        """How many records found no room, of which the process has not told."""
        return sum(ring[Slot.DROPPED] - ring[Slot.DROPPED_TOLD] for ring in self._rings)

    @property
    def not_kept(self) -> int:
        """How many steps it could neither send nor keep."""
        return max((ring[Slot.NOT_KEPT] for ring in self._rings), default=0)

    def note(self, attempt: int, seq: int, ring_end: int) -> None:
        """Note a batch of the spool, in the rings too: the process may have had no time to."""
        self.attempt, self.seq = max((self.attempt, self.seq), (attempt, seq + 1))
        self.tail = max(self.tail, ring_end)
        for ring in self._rings:
            ring[Slot.ATTEMPT], ring[Slot.NEXT_SEQ] = self.attempt, self.seq
            ring[Slot.TAIL] = max(ring[Slot.TAIL], ring_end)

    def stretches(self) -> Iterator[Stretch]:
        """Yield what they hold beyond their tails."""
        for ring in self._rings:
            yield from RingReader(ring).stretches(ring[Slot.TAIL])

    def close(self) -> None:
        """Unmap them."""
        for ring in self._rings:
            ring.close()

    def _open(self, place: Path) -> bool:
        """Open one; True: its process died while it made it."""
        try:
            self._rings.append(Ring.open(place))
        except (RingVersionError, PermissionError):
            raise
        except UnfinishedRingError:
            return True
        except FileNotFoundError:
            return False  # the link of a ring that was read to its end, perhaps
        except (OSError, RingError) as error:
            self._lost(place, error)
        return False

    def _lost(self, place: Path, error: Exception) -> None:
        LOG.warning("trimtab: %s: this ring cannot be read, its last rows are lost: %s", place, error)
        self.problems.append(reason_of(error))
