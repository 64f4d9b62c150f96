"""Unix time that does not jump: when the machine's clock is set, time goes on from where it was."""

from __future__ import annotations

import time
from collections.abc import Callable


def _seconds_since_boot() -> float:
    """Return seconds that go on while the machine sleeps, where the system tells them."""
    if hasattr(time, "CLOCK_BOOTTIME"):
        return time.clock_gettime(time.CLOCK_BOOTTIME)
    return time.monotonic()


class SteadyClock:
    """Unix seconds: the wall clock as it stood at the start plus the seconds that have passed since."""

    def __init__(
        self,
        wall: Callable[[], float] = time.time,
        elapsed: Callable[[], float] = _seconds_since_boot,
    ) -> None:
        self._elapsed = elapsed
        self._offset = wall() - elapsed()

    def __call__(self) -> float:
        """Return the time now."""
        return self._offset + self._elapsed()
