"""How far a series is, by and by, above the best it ever held: what no slow rise can hide."""

from __future__ import annotations

from dataclasses import dataclass
from math import inf
from typing import Final

MEAN_SAMPLES: Final = 32
"""The running mean follows within about so many samples."""

HELD_SAMPLES: Final = 8
"""The mean of fewer is no level yet."""


@dataclass(slots=True)
class BestLevel:
    """The running mean of a series, in logarithms, and its lowest.

    A level that is slowly left behind is forgotten by whatever adapts; the best is not.

    >>> from math import exp, log
    >>> best = BestLevel()
    >>> for step in range(400):
    ...     above = best.note(step, log(2.0) + 0.004 * max(0, step - 100))
    >>> round(exp(above), 1), best.best_step
    (2.9, 100)
    """

    mean: float = 0.0
    best: float = inf
    best_step: int = 0
    samples: int = 0

    def note(self, step: int, value: float) -> float:
        """Take the next value; return how far the mean is above its lowest."""
        self.samples = min(self.samples + 1, MEAN_SAMPLES)
        self.mean += (value - self.mean) / self.samples
        if self.samples < HELD_SAMPLES:
            return 0.0
        if self.mean <= self.best:
            self.best, self.best_step = self.mean, step
        return self.mean - self.best
