"""Lets the training thread go on between slices of work on another thread.

Python hands its lock from a thread that runs Python to one that waits only every 5 ms
(`sys.getswitchinterval`): work of some milliseconds on a thread of ours would hold the training thread for as
long. So that work asks `GivingWay` at every turn of its loops, which sleeps a moment once a slice is used up:
the lock is free then, and the training thread takes it.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final

SLICE_SECONDS: Final = 0.3e-3
PAUSE_SECONDS: Final = 0.05e-3
"""Long enough for the thread that waits to wake up; a sleep of 0 would take the lock back before it does."""

GiveWay = Callable[[], None]


def never() -> None:
    """Give way to nobody: for work that no training thread waits for."""


class GivingWay:
    """Counts slices for one thread; call it often, each time costs a look at the clock."""

    def __init__(
        self,
        clock: Callable[[], float] = time.perf_counter,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self._clock = clock
        self._sleep = sleep
        self._until = 0.0

    def __call__(self) -> None:
        """Sleep a moment if the slice is over."""
        if self._clock() >= self._until:
            self._sleep(PAUSE_SECONDS)
            self._until = self._clock() + SLICE_SECONDS
