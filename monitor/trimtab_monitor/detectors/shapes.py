"""Fits the two shapes of a lasting rise, a step and a ramp, to residuals whose noise is correlated.

The noise is taken as AR(1): each sample keeps `rho` of the one before. Residuals and shapes are whitened with
that, so that a gain is what it would be for independent noise: twice the log of the likelihood ratio against
no rise at all (a generalised likelihood ratio test; Basseville and Nikiforov, "Detection of Abrupt Changes",
1993, chapter 2.4). Where a step began is found in the data; so is where a ramp did.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise
from math import sqrt
from typing import Final, NamedTuple

SHORTEST_STEP: Final = 3
SHORTEST_RAMP: Final = 14
LARGEST_RHO: Final = 0.97
DOUBT_SIGMA: Final = 2.0


class Shape(NamedTuple):
    """The best of its kind: its gain, and over how many samples it goes; of none, if nothing rises."""

    gain: float = 0.0
    samples: int = 0


def autocorrelation(values: Sequence[float]) -> float:
    """How much of its noise one value keeps to the next, between 0 and `LARGEST_RHO`; a trend is no noise.

    The usual estimate is too low (Kendall 1954) and uncertain: both are added, the latter in so far as there
    is correlation at all. Noise that is taken for less correlated than it is makes drifts out of nothing.

    >>> import random
    >>> noise = random.Random(1)
    >>> round(autocorrelation([noise.gauss(0, 1) + 0.1 * i for i in range(500)]), 1)
    0.0
    >>> round(autocorrelation([0, 0, 0, 0, 1, 1, 1, 1] * 8), 1)
    0.7
    """
    away = _detrended(values)
    spread = sum(value * value for value in away)
    if spread <= 0.0:
        return 0.0
    count = len(away)
    rho = max(0.0, sum(before * after for before, after in pairwise(away)) / spread)
    doubt = (1.0 + 3.0 * rho) / count + DOUBT_SIGMA * rho * sqrt(max(0.0, 1.0 - rho * rho) / count)
    return min(LARGEST_RHO, rho + doubt)


def _detrended(values: Sequence[float]) -> list[float]:
    """The values without the straight line through them."""
    count = len(values)
    if count < SHORTEST_STEP:
        return []
    mean, middle = sum(values) / count, (count - 1) / 2
    slope = sum((i - middle) * value for i, value in enumerate(values)) * 12 / (count**3 - count)
    return [value - mean - slope * (i - middle) for i, value in enumerate(values)]


def fit(residuals: Sequence[float], rho: float) -> tuple[Shape, Shape]:
    """Return the best step and the best ramp that end with the last of `residuals`, given in sigma.

    >>> step, ramp = fit([0.0] * 20 + [3.0] * 20, rho=0.0)
    >>> step, ramp.gain < step.gain
    (Shape(gain=180.0, samples=20), True)
    >>> step, ramp = fit([0.0] * 20 + [0.1 * i for i in range(1, 31)], rho=0.0)
    >>> ramp.samples, ramp.gain > step.gain
    (30, True)
    """
    fresh = 1.0 - rho
    variance = 1.0 - rho * rho
    total = moments = 0.0
    step, ramp = Shape(), Shape()
    for samples in range(1, len(residuals)):
        whitened = residuals[-samples] - rho * residuals[-samples - 1]
        moments += total
        total += whitened
        if samples >= SHORTEST_STEP:
            along = fresh * total + rho * whitened
            energy = 1.0 + (samples - 1) * fresh * fresh
            gain = along * along / (energy * variance)
            if along > 0.0 and gain > step.gain:
                step = Shape(gain, samples)
        if samples >= SHORTEST_RAMP:
            along = fresh * (moments + total) + rho * total
            energy = _ramp_energy(samples, fresh, rho)
            gain = along * along / (energy * variance)
            if along > 0.0 and gain > ramp.gain:
                ramp = Shape(gain, samples)
    return step, ramp


def _ramp_energy(samples: int, fresh: float, rho: float) -> float:
    """The sum of (fresh i + rho)² for i from 1 to `samples`: a whitened ramp of slope 1."""
    squares = samples * (samples + 1) * (2 * samples + 1) / 6
    return fresh * fresh * squares + fresh * rho * samples * (samples + 1) + rho * rho * samples
