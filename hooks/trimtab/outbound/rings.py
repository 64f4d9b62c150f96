"""The rings of a process: the one that is written to, and those before it that still hold something.

Where steps come faster than they are packed, or rows are large, a larger ring is made on a thread of its own
and offered to the writer, which goes on there when it next looks for room. Positions go on from ring to ring,
so that each says one place in one of them; what was written before stays where it is until it is spooled.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Final, Protocol

from trimtab.guard import Guard
from trimtab.outbound.ring import Ring, RingReader, Slot, Stretch
from trimtab.outbound.ring_writer import RingWriter

GROWTH: Final = 4
"""How many times as large the next ring is."""
LARGEST_BYTES: Final = 64 * 2**20
_RECORDS: Final = 8
"""How many of the largest records the next ring holds at least."""
_STOP_SECONDS: Final = 1.0


class Shelf(Protocol):
    """Where rings are made and thrown away, by their numbers: the first is 0."""

    def make_ring(self, capacity: int, number: int) -> Ring:
        """Make a ring; raises OSError where there is no room for it."""

    def drop_ring(self, number: int) -> None:
        """Delete a ring that nothing is read from any more."""


class InMemory:
    """Makes rings that die with the process."""

    def make_ring(self, capacity: int, number: int) -> Ring:
        """Make a ring."""
        del number
        return Ring.anonymous(capacity)

    def drop_ring(self, number: int) -> None:
        """Do nothing: the memory is gone once it is closed."""


@dataclass(frozen=True, slots=True)
class _Live:
    number: int
    ring: Ring
    reader: RingReader


class Rings:
    """All of a process's rings as one, for the thread that reads them.

    `on_trouble` is told where a larger one cannot be made; what is there goes on being used then.
    """

    def __init__(
        self,
        writer: RingWriter,
        shelf: Shelf,
        on_trouble: Callable[[OSError], None],
        guard: Guard,
        largest_bytes: int = LARGEST_BYTES,
    ) -> None:
        self.tail = writer.ring[Slot.TAIL]
        """The position up to which all is safe elsewhere."""
        self._writer = writer
        self._shelf = shelf
        self._on_trouble = on_trouble
        self._guard = guard
        self._largest_bytes = largest_bytes
        self._lock = threading.Lock()
        """Held where a ring that was made is taken up: none is once this has been stopped."""
        self._stopped = False
        self._maker: threading.Thread | None = None
        self._live = [_Live(0, writer.ring, RingReader(writer.ring))]
        self._telling: list[tuple[_Live, int]] = []

    def __setitem__(self, slot: Slot, value: int) -> None:
        """Note a number in every ring: whoever finds them takes the newest."""
        for live in self._live:
            live.ring[slot] = value

    def stretches(self) -> Iterator[Stretch]:
        """Yield what was published and is not safe elsewhere yet, ring after ring."""
        for live in self._written():
            yield from live.reader.stretches(live.reader.tail)

    def advance(self, position: int) -> None:
        """Give the room before `position` back; a ring that was left and holds nothing more is deleted."""
        self.tail = max(self.tail, position)
        for live in (written := self._written()):
            live.ring[Slot.TAIL] = max(live.ring[Slot.TAIL], min(position, live.ring[Slot.HEAD]))
        for live in written[:-1]:
            if live.ring[Slot.TAIL] == live.ring[Slot.HEAD] and _untold(live.ring) == 0:
                self._drop(live)

    def take_drops(self) -> int:
        """Return how many records found no room, and were not confirmed as told."""
        self._telling = [(live, _untold(live.ring)) for live in self._live]
        return sum(untold for _, untold in self._telling)

    def confirm_drops(self) -> None:
        """Note that what `take_drops` returned last is told, in a batch that is safe: not before it is."""
        for live, untold in self._telling:
            live.ring[Slot.DROPPED_TOLD] += untold
        self._telling = []

    def relieve(self) -> None:
        """See to it that the writer is offered a larger ring if it is short of room; returns at once."""
        newest, wanted = self._live[-1], self._wanted_bytes()
        if newest.ring is not self._writer.ring or wanted <= newest.ring.capacity or not _short(newest.ring):
            return
        if self._maker is None or not self._maker.is_alive():
            self._maker = threading.Thread(
                target=self._make, args=(newest, wanted), name="trimtab-ring", daemon=True
            )
            self._maker.start()

    def settle(self) -> None:
        """Wait until a ring that is being made is on offer."""
        if self._maker is not None:
            self._maker.join()

    def stop(self) -> None:
        """Make no more rings; one that is being made is thrown away."""
        with self._lock:
            self._stopped = True
        if self._maker is not None:
            self._maker.join(_STOP_SECONDS)

    def close(self) -> None:
        """Unmap all of them; only once no writer is left."""
        for live in self._live:
            live.ring.close()

    def _written(self) -> list[_Live]:
        """Return the rings up to the one being written to.

        One that the writer goes on to meanwhile waits for the next time: only then the last record of the
        one before is known.
        """
        current = self._writer.ring
        last = next(i for i, live in enumerate(self._live) if live.ring is current)
        return self._live[: last + 1]

    def _wanted_bytes(self) -> int:
        capacity = self._live[-1].ring.capacity
        return min(max(GROWTH * capacity, _RECORDS * self._writer.wanted), self._largest_bytes)

    def _make(self, newest: _Live, capacity: int) -> None:
        number = newest.number + 1
        with self._guard.shield("ring"):
            try:
                ring = self._shelf.make_ring(capacity, number)
            except OSError as error:
                self._largest_bytes = 0
                self._on_trouble(error)
                return
            for slot in (Slot.ATTEMPT, Slot.NEXT_SEQ, Slot.ENDED):
                ring[slot] = newest.ring[slot]
            self._take_up(_Live(number, ring, RingReader(ring)))

    def _take_up(self, made: _Live) -> None:
        with self._lock:
            if not self._stopped:
                self._live.append(made)
                self._writer.offer(made.ring)
                return
        made.ring.close()
        self._shelf.drop_ring(made.number)

    def _drop(self, live: _Live) -> None:
        self._live.remove(live)
        live.ring.close()
        self._shelf.drop_ring(live.number)


def _short(ring: Ring) -> bool:
    """Tell whether records were dropped since this was told, or three quarters of the ring are full.

    The writer wakes the reader at a half: one that comes in time for that needs no larger ring.
    """
    return _untold(ring) > 0 or 4 * (ring[Slot.HEAD] - ring[Slot.TAIL]) > 3 * ring.capacity


def _untold(ring: Ring) -> int:
    return ring[Slot.DROPPED] - ring[Slot.DROPPED_TOLD]
