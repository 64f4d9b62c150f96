"""Unix time that does not jump: when the machine's clock is set, time goes on from where it was.

All that a job tells of a run bears the times of one such clock: its steps, its events, and what its devices
drew. Two clocks would part when the machine's is set, and lost work would be looked for in another hour.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from functools import partial
from typing import Final

SECONDS_SINCE_BOOT: Final[Callable[[], float]] = (
    partial(time.clock_gettime, time.CLOCK_BOOTTIME) if hasattr(time, "CLOCK_BOOTTIME") else time.monotonic
)
"""Goes on while the machine sleeps, where the system tells that."""


class SteadyClock:
    """Unix seconds: the wall clock as it stood at the start plus the seconds that have passed since.

    `offset` and `elapsed` are for those who cannot afford the call: the time is their sum.
    """

    __slots__ = ("elapsed", "offset")

    def __init__(
        self, wall: Callable[[], float] = time.time, elapsed: Callable[[], float] = SECONDS_SINCE_BOOT
    ) -> None:
        self.elapsed = elapsed
        self.offset = wall() - elapsed()

    def __call__(self) -> float:
        """Return the time now."""
        return self.offset + self.elapsed()
