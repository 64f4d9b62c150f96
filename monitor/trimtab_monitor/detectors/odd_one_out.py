"""How far each of several vectors lies from where most of them are, however many are wrong."""

from __future__ import annotations

from collections.abc import Sequence
from math import sqrt
from statistics import median
from typing import Final

FEWEST_FOR_COVARIANCE: Final = 16
"""From so many vectors on it is told how their elements go together."""

MOST_FITTED: Final = 256
"""Of more vectors, so many are fitted: the time for all would grow with their number."""


def distances(vectors: Sequence[Sequence[float]], units: Sequence[float]) -> list[float]:
    """Return each vector's Mahalanobis distance from the robust centre, as standard deviations.

    `units` are the least standard deviations that are believed. With few vectors each element counts by
    itself, by the median and the median absolute deviation; with many, by the minimum covariance determinant
    (Rousseeuw and Van Driessen 1999): a device that is hotter and draws less stands out where the hotter draw
    more.

    >>> power_and_heat = [[300.0, 60.0], [302.0, 61.0], [299.0, 60.0], [301.0, 59.0], [200.0, 75.0]]
    >>> [round(distance) for distance in distances(power_and_heat, units=[10.0, 3.0])]
    [0, 0, 0, 0, 11]
    """
    scaled = [[value / unit for value, unit in zip(vector, units, strict=True)] for vector in vectors]
    return _by_element(scaled) if len(scaled) < FEWEST_FOR_COVARIANCE else _by_covariance(scaled)


def _by_element(vectors: list[list[float]]) -> list[float]:
    squared = [0.0] * len(vectors)
    for column in zip(*vectors, strict=True):
        middle = median(column)
        deviation = max(1.0, 1.4826 * median([abs(value - middle) for value in column]))
        squared = [old + ((new - middle) / deviation) ** 2 for old, new in zip(squared, column, strict=True)]
    return [sqrt(total) for total in squared]


def _by_covariance(vectors: list[list[float]]) -> list[float]:
    import numpy as np  # here, as it is rarely needed: with scikit-learn it takes a second and 100 MB to load
    from sklearn.covariance import MinCovDet  # type: ignore[import-untyped]

    every = np.asarray(vectors)
    kept = every[np.linspace(0, len(every) - 1, min(len(every), MOST_FITTED)).astype(int)]
    jitter = np.random.default_rng(0).normal(scale=0.1, size=kept.shape)  # equal vectors span no space
    fitted = MinCovDet(random_state=0).fit(kept + jitter)
    off = every - fitted.location_
    unit = np.eye(off.shape[1])  # the deviation that is believed at least
    squared = (off @ np.linalg.inv(fitted.covariance_ + unit) * off).sum(axis=1)
    return [float(distance) for distance in np.sqrt(squared)]
