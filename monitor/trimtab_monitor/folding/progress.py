"""How far the fold has come, and waiting for it to come past a position."""

from __future__ import annotations

import asyncio
import heapq
import itertools
import threading
from dataclasses import dataclass, field

from trimtab_monitor.loops import call_in


@dataclass(order=True, slots=True)
class _Waiter:
    position: int
    ordinal: int
    loop: asyncio.AbstractEventLoop = field(compare=False)
    done: asyncio.Event = field(compare=False)


class Progress:
    """A position that only grows: written by one thread, waited for from any thread or event loop."""

    def __init__(self, position: int) -> None:
        self._position = position
        self._moved = threading.Condition()
        self._waiters: list[_Waiter] = []
        self._ordinals = itertools.count()

    @property
    def position(self) -> int:
        """How far it has come."""
        return self._position

    def advance(self, position: int) -> None:
        """It has come to `position`."""
        with self._moved:
            self._position = position
            self._moved.notify_all()
            while self._waiters and self._waiters[0].position <= position:
                waiter = heapq.heappop(self._waiters)
                call_in(waiter.loop, waiter.done.set)

    def wait(self, position: int, timeout: float) -> bool:
        """Wait in a thread; returns whether it came there within `timeout` seconds."""
        with self._moved:
            return self._moved.wait_for(lambda: self._position >= position, timeout)

    async def passed(self, position: int, timeout: float) -> bool:
        """Wait in an event loop; returns whether it came there within `timeout` seconds."""
        if self._position >= position:
            return True
        done = asyncio.Event()
        with self._moved:
            if self._position >= position:
                return True
            loop = asyncio.get_running_loop()
            heapq.heappush(self._waiters, _Waiter(position, next(self._ordinals), loop, done))
        try:
            await asyncio.wait_for(done.wait(), timeout)
        except TimeoutError:
            return False
        return True
