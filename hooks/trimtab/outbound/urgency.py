"""From where on a value is worth telling at once rather than at the end of the second.

Cheap on purpose: the training thread compares with two limits, which the drainer sets from the last few rows.
It decides when to send, nothing else; whether it is a spike is for the collector.
"""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Sequence
from typing import Final

WINDOW: Final = 32
_FEWEST: Final = 8
_DEVIATIONS: Final = 6.0
_SMALLEST_SHARE: Final = 0.05


def limit_of(recent: Sequence[float]) -> float:
    """Return the value from which on a metric is far beyond its last few, infinity while there are too few.

    >>> limit_of([2.0, 2.2, 1.8, 2.0] * 4)
    2.6
    >>> limit_of([2.0])
    inf
    """
    finite = [value for value in recent if math.isfinite(value)]
    if len(finite) < _FEWEST:
        return math.inf
    mean = math.fsum(finite) / len(finite)
    deviation = math.fsum(abs(value - mean) for value in finite) / len(finite)
    return mean + max(_DEVIATIONS * deviation, _SMALLEST_SHARE * abs(mean))


class RecentLimit:
    """The limit of one metric, from the last `WINDOW` values shown to it."""

    def __init__(self) -> None:
        self._recent: deque[float] = deque(maxlen=WINDOW)

    def update(self, column: Sequence[float]) -> float:
        """Take in the newest values and return the limit."""
        self._recent.extend(column[-WINDOW:])
        return limit_of(self._recent)
