"""Whether the learning rate climbs, or did a little while ago: a warm-up, or a warm restart."""

from __future__ import annotations

from dataclasses import dataclass
from math import isfinite
from typing import Final

CLIMBED: Final = 1.2
"""A rate so many times its low of lately has climbed."""

FORGETS: Final = 1.005
"""The low rises by this factor each sample: after a tenfold climb it is forgotten in some 400."""


@dataclass(slots=True)
class RateClimb:
    """Follows the lowest learning rate of lately.

    >>> climb = RateClimb()
    >>> [climb.note(rate) for rate in [1e-4] * 3 + [2e-4, 3e-4] + [3e-4] * 400][2:5]
    [False, True, True]
    >>> climb.note(3e-4), climb.note(1e-4), climb.note(float("nan"))
    (False, False, False)
    """

    low: float = 0.0
    climbed: bool = False

    def note(self, rate: float) -> bool:
        """Take the rate of the next sample; return whether it climbs, or did lately."""
        if isfinite(rate) and rate > 0.0:
            self.low = min(rate, self.low * FORGETS) if self.low else rate
            self.climbed = rate > CLIMBED * self.low
        return self.climbed
