"""The statistics of noisy measurements: quantiles, and the median of paired ratios with its interval."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from statistics import median
from typing import Final

RESAMPLES: Final = 2_000


def quantile(ascending: Sequence[float], share: float) -> float:
    """Return the value below which a share of the values lies: the next one up, never one between."""
    return ascending[min(len(ascending) - 1, int(share * len(ascending)))]


@dataclass(frozen=True, slots=True)
class Estimate:
    """A median, and the interval in which it lies with 95 % confidence."""

    value: float
    low: float
    high: float


def median_estimate(values: Sequence[float], seed: int = 1) -> Estimate:
    """Estimate a median by the percentile bootstrap (Efron 1979): medians of samples with replacement."""
    drawn = random.Random(seed)
    medians = sorted(median(drawn.choices(values, k=len(values))) for _ in range(RESAMPLES))
    return Estimate(median(values), quantile(medians, 0.025), quantile(medians, 0.975))


def percent_more(pairs: Sequence[tuple[float, float]]) -> Estimate:
    """Estimate by how many percent the second of a pair is more than the first."""
    return median_estimate([100 * (after / before - 1) for before, after in pairs])
