"""Whether the amount a step drifts, as with sequences that grow longer, instead of changing once."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

Values = npt.NDArray[np.float64]

LEAST_POINTS: Final = 8
SURE: Final = 16.0
"""A drift is one whose slope is four times its error: the square of that."""

LEAST_CHANGE: Final = 0.03
"""By such a part of its level it must have changed."""

GOES_ON: Final = (0.5, 0.75)
"""Mean and deviation of how far it goes on: 0, it ends now; 1, it lasts as long again."""


@dataclass(frozen=True, slots=True)
class Drift:
    """A line through amounts a step: `now` is its end, `slope` by a step, over `span` steps."""

    now: float
    slope: float
    span: float

    def mean_change(self, steps: float) -> float:
        """By how much the mean over the steps to come differs from now, if it lasts as long again."""
        lasts = min(steps, self.span)
        return self.slope * lasts * (1.0 - lasts / (2.0 * steps))

    def draw(self, steps: float, rng: np.random.Generator, size: int) -> Values:
        """Draws of that change."""
        middle, deviation = GOES_ON
        drawn: Values = self.mean_change(steps) * (middle + deviation * rng.standard_normal(size))
        return drawn


def drift_of(steps: Values, rates: Values) -> Drift | None:
    """The drift of rates over groups of so many steps; None where a level, or two, tell as much as a line."""
    if len(rates) < LEAST_POINTS:
        return None
    at = np.cumsum(steps) - steps / 2.0
    slope, start = np.polyfit(at, rates, 1)
    left = float(np.sum((rates - start - slope * at) ** 2))
    of_one, span = _around_mean(rates), float(np.sum(steps))
    is_sure = (of_one - left) * (len(rates) - 2) > SURE * left
    is_large = abs(slope) * span > LEAST_CHANGE * abs(float(np.mean(rates)))
    if not (is_sure and is_large) or left >= _of_two_levels(rates):
        return None
    return Drift(float(start + slope * span), float(slope), span)


def _of_two_levels(rates: Values) -> float:
    """What is left of the variation with one level up to some group and another after it."""
    return min(_around_mean(rates[:i]) + _around_mean(rates[i:]) for i in range(1, len(rates)))


def _around_mean(rates: Values) -> float:
    return float(np.sum((rates - np.mean(rates)) ** 2))
