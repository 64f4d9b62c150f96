"""A figure that is not known yet, and the interval that it will lie in eight times of ten."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

import numpy as np
import numpy.typing as npt

LOW: Final = 0.1
HIGH: Final = 0.9
LEVEL: Final = HIGH - LOW

Draws = npt.NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Band:
    """The 10 %, 50 % and 90 % points of a forecast."""

    low: float
    expected: float
    high: float

    def times(self, factor: float) -> Band:
        """In other units; `factor` is not negative."""
        return Band(self.low * factor, self.expected * factor, self.high * factor)

    def plus(self, known: float) -> Band:
        """With what is known already."""
        return Band(self.low + known, self.expected + known, self.high + known)

    def beside(self, other: Band) -> Band:
        """The sum of two figures that go up and down together."""
        return Band(self.low + other.low, self.expected + other.expected, self.high + other.high)

    def as_json(self) -> dict[str, Any]:
        """The shape in which the API tells it."""
        return {"low": self.low, "expected": self.expected, "high": self.high}


def band_of(draws: Draws) -> Band:
    """The band of what may come, of equally likely draws.

    >>> band_of(np.arange(101.0))
    Band(low=10.0, expected=50.0, high=90.0)
    """
    low, expected, high = np.quantile(draws, (LOW, 0.5, HIGH)).tolist()
    return Band(low, expected, high)
