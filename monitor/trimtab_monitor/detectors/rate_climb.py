"""Whether the learning rate climbs as it should: in its warm-up, or back to where it was after a restart."""

from __future__ import annotations

from dataclasses import dataclass
from math import isfinite
from typing import Final

CLIMBED: Final = 1.2
"""A rate so many times its low of lately has climbed; one so many times the highest before is new."""

FORGETS: Final = 1.005
"""The low rises by this factor each sample: after a tenfold climb it is forgotten in some 400."""

WARM_SAMPLES: Final = 50
"""A rate that did not climb for so many samples has come to the end of its warm-up."""


@dataclass(slots=True)
class RateClimb:
    """Follows the lowest learning rate of lately, and the highest that the run has taken well.

    >>> climb = RateClimb()
    >>> warm_up = [climb.note(1e-5 * step) for step in range(1, 101)]
    >>> decay = [climb.note(1e-3 * 0.99**step) for step in range(400)]
    >>> restart = [climb.note(1e-4 * step) for step in range(1, 11)]
    >>> beyond = [climb.note(1e-3 * step) for step in range(2, 5)]
    >>> warm_up[50], decay[-1], restart[5], any(beyond)
    (True, False, True, False)
    """

    low: float = 0.0
    highest: float = 0.0
    rested: int = 0
    climbs: bool = False

    def note(self, rate: float) -> bool:
        """Take the rate of the next sample; return whether it climbs as it should, or did lately."""
        if not isfinite(rate) or rate <= 0.0:
            return self.climbs
        self.low = min(rate, self.low * FORGETS) if self.low else rate
        climbing = rate > CLIMBED * self.low
        self.rested += not climbing
        warming = self.rested < WARM_SAMPLES
        if warming or not climbing:
            self.highest = max(self.highest, rate)
        self.climbs = climbing and (warming or rate <= CLIMBED * self.highest)
        return self.climbs
