"""How far a series is, by and by, above the best it ever held: what no slow rise can hide."""

from __future__ import annotations

from dataclasses import dataclass
from math import inf, log, sqrt
from typing import Final

MEAN_SAMPLES: Final = 32
"""The running mean follows within about so many samples."""

HELD_SAMPLES: Final = 16
"""The mean of fewer is no level yet."""

NEAR: Final = log(1.1)
"""Within this of the best, as the logarithm of a ratio, a series has not left it."""

NOISE_OF_BENDS: Final = sqrt(2.0 / 3.141592653589793) * sqrt(6.0)
"""The mean size of a second difference of Gaussian noise, in its standard deviations."""


@dataclass(slots=True)
class BestLevel:
    """The running mean of a series in logarithms, its lowest, and when it was last near that.

    A level that is slowly left behind is forgotten by whatever adapts; the best is not. `noise` is that of
    the second differences, which no steady climb enlarges.

    >>> from math import exp
    >>> best = BestLevel()
    >>> for step in range(400):
    ...     above = best.note(step, log(2.0) + 0.004 * max(0, step - 100))
    >>> round(exp(above), 1), best.left_step, round(best.noise, 3)
    (2.9, 148, 0.0)
    """

    mean: float = 0.0
    best: float = inf
    left_step: int = 0
    samples: int = 0
    last: float = 0.0
    move: float = 0.0
    noise: float = 0.0

    def note(self, step: int, value: float) -> float:
        """Take the next value; return how far the mean is above its lowest."""
        self.samples = min(self.samples + 1, MEAN_SAMPLES)
        move = value - self.last
        if self.samples > 2:
            self.noise += (abs(move - self.move) / NOISE_OF_BENDS - self.noise) / self.samples
        self.last, self.move = value, move
        self.mean += (value - self.mean) / self.samples
        if self.samples < HELD_SAMPLES:
            return 0.0
        if self.mean < self.best + NEAR:
            self.best, self.left_step = min(self.best, self.mean), step
        return self.mean - self.best

    def accept(self, far: float) -> None:
        """The level was told, and is the new normal: only what is well above that is far again."""
        self.best = max(self.best, self.mean - far / 2.0)
