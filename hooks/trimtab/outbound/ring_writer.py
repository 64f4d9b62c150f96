"""The writing end of the ring: what a step in the training thread does, and nothing that waits.

See ring.py for the layout.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from trimtab.outbound.ring import FRAME_BYTES, FRONT, PAD, PAGE, Ring, Slot, word_of

REENTERED: Final = -2
FULL: Final = -1


class RingWriter:
    """The writing end: `reserve` room, pack the record there, `publish` it.

    `head` is the position of the record being written, the stamp that it must carry at both ends. `wake` is
    called when the reader falls behind. All calls come from one thread at a time.

    A step's fast path does what `reserve` and `publish` do without calling them: while `busy` is not set, a
    record that ends at `safe` or before has its place at `head + base`; storing the new head in `head_slot`
    publishes it.
    """

    __slots__ = ("_next", "_wake", "base", "busy", "head", "head_slot", "memory", "ring", "safe", "wanted")

    def __init__(self, ring: Ring, wake: Callable[[], None]) -> None:
        self.ring = ring
        """The ring that is written to: one before it has its last record."""
        self.wanted = 0
        """The largest record that found no room, in bytes."""
        self._next: Ring | None = None
        self._wake = wake
        self.head_slot = ring.slot(Slot.HEAD)
        self.memory = ring.memory
        self.head: int = ring[Slot.HEAD]
        self.safe = 0
        self.base = 0
        self.busy = False

    def reserve(self, size: int) -> int:
        """Return the place in `memory` for a record of `size` bytes (a multiple of 8).

        FULL: there is no room; the drop is counted. REENTERED: a signal handler interrupted a write of its
        own thread, which must be left to finish.
        """
        if self.busy:
            return REENTERED
        self.busy = True
        if self.head + size > self.safe and not self._make_room(size):
            self.busy = False
            return FULL
        return self.head + self.base

    def publish(self, size: int) -> None:
        """Make the record that was packed in the place reserved last visible to the reader."""
        self.head = self.head_slot[0] = self.head + size
        self.busy = False

    def abandon(self) -> None:
        """Forget what was reserved and not published."""
        self.busy = False

    def close(self) -> None:
        """Let go of the memory; nothing may be written after."""
        self.busy = True
        self.head_slot.release()

    def offer(self, ring: Ring) -> None:
        """Offer a larger ring with nothing in it, from any thread: it is written to from the next look on."""
        self._next = ring

    def _make_room(self, size: int) -> bool:
        """Look at the tail, which `reserve` does once a quarter lap; turn the lap over where it must be."""
        if self._next is not None:
            self._take_over(self._next)
        ring = self.ring
        left = ring.capacity - self.head % ring.capacity
        skip = left if size > left else 0
        free = ring.capacity - (self.head - ring[Slot.TAIL])
        if free < ring.capacity // 2:
            self._wake()
        if skip + size > free:
            ring[Slot.DROPPED] += 1
            self.wanted = max(self.wanted, size)
            self.safe = 0
            return False
        if skip >= FRAME_BYTES:
            FRONT.pack_into(ring.memory, PAGE + ring.capacity - left, self.head, word_of(skip, PAD, 0))
        self.head += skip
        self.base = PAGE + self.head % ring.capacity - self.head
        lap_end = self.head + ring.capacity - self.head % ring.capacity
        self.safe = min(lap_end, self.head + free - skip, self.head + max(size, ring.capacity // 4))
        return True

    def _take_over(self, ring: Ring) -> None:
        """Go on in another ring, where positions go on too.

        Killed at any point of it, the process leaves two rings of which each says what it holds. A signal's
        handler that raises in the middle makes the next call do it again: `_next` is forgotten last.
        """
        self.safe = 0
        ring[Slot.TAIL] = ring[Slot.HEAD] = self.head
        self.memory, self.head_slot = ring.memory, ring.slot(Slot.HEAD)
        self.ring = ring
        self._next = None
