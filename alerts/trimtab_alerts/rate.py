"""A token bucket: how often a destination may be told."""

from __future__ import annotations

import math


class TokenBucket:
    """Lets through `burst` at once and `per_minute` in the long run.

    In no 60 seconds does it let through more than `burst + per_minute`. Times are seconds of any clock that
    does not go back; if one does, nothing is added until it has caught up.
    """

    def __init__(self, per_minute: float = math.inf, burst: int = 1) -> None:
        if per_minute <= 0 or burst < 1:
            raise ValueError(
                f"per_minute={per_minute}, burst={burst}: give a rate above 0 and a burst of 1 or more"
            )
        self._per_second = per_minute / 60.0
        self._burst = float(burst)
        self._tokens = self._burst
        self._filled_at = -math.inf

    def take(self, now: float) -> float:
        """Take one token and return 0, or take none and return the seconds until there is one."""
        if math.isinf(self._per_second):
            return 0.0
        self._fill(now)
        if self._tokens >= 1.0:
            self._tokens -= 1.0
            return 0.0
        return (1.0 - self._tokens) / self._per_second

    def _fill(self, now: float) -> None:
        if self._filled_at == -math.inf:
            self._filled_at = now
        passed = max(0.0, now - self._filled_at)
        self._tokens = min(self._burst, self._tokens + passed * self._per_second)
        self._filled_at = max(now, self._filled_at)
