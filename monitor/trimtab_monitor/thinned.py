"""A few values out of many, spread evenly over all that came: enough for their median, and bounded."""

from __future__ import annotations

from dataclasses import dataclass, field
from math import isfinite
from statistics import median
from typing import Final

VALUES_KEPT: Final = 16


@dataclass(slots=True)
class Thinned:
    """Every `every`-th of the finite values; once there are too many, every second of those is dropped.

    >>> few = Thinned()
    >>> for value in range(1000):
    ...     few.add(float(value))
    >>> len(few.values) <= VALUES_KEPT, few.middle
    (True, 480.0)
    """

    values: list[float] = field(default_factory=list)
    seen: int = 0
    every: int = 1

    def add(self, value: float) -> None:
        """Take the next value; one that is not finite is passed over."""
        if not isfinite(value):
            return
        if self.seen % self.every == 0:
            if len(self.values) == VALUES_KEPT:
                del self.values[1::2]
                self.every *= 2
            if self.seen % self.every == 0:
                self.values.append(value)
        self.seen += 1

    @property
    def middle(self) -> float | None:
        """The median of the values; None where there are none."""
        return median(self.values) if self.values else None

    def clear(self) -> None:
        """Begin anew."""
        self.values.clear()
        self.seen, self.every = 0, 1
