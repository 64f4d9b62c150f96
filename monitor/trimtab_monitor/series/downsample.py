"""Fewer points, with nothing that matters lost: no spike, up or down, and no value that is not a number."""

from __future__ import annotations

from typing import TypeVar

import numpy as np
import numpy.typing as npt

T = TypeVar("T", np.float64, np.bool_)
Indices = npt.NDArray[np.intp]
Values = npt.NDArray[np.float64]


def downsample(values: Values, points: int) -> Indices:
    """Choose at most `points` of the values, by index, in order.

    The first and the last are kept, and of each of equal stretches between them the least, the greatest (the
    infinities count). NaNs are kept, all of them or, where they are more than a third of the points, the
    first in each of that many stretches.
    """
    n = len(values)
    if n <= points:
        return np.arange(n)
    is_nan = np.isnan(values)
    marks = _marks(is_nan, (points - 2) // 3)
    stretches = (points - 2 - len(marks)) // 2
    if stretches < 1 or (is_nan.any() and not len(marks)):
        return _most_telling(values, is_nan, points)
    size = -(-n // stretches)
    low = _stretched(np.where(is_nan, np.inf, values), size, np.inf)
    high = _stretched(np.where(is_nan, -np.inf, values), size, -np.inf)
    starts = np.arange(len(low)) * size
    chosen = [np.array([0, n - 1]), marks, starts + low.argmin(axis=1), starts + high.argmax(axis=1)]
    return np.unique(np.concatenate(chosen))


def _marks(is_nan: npt.NDArray[np.bool_], most: int) -> Indices:
    """At most so many of the NaNs."""
    found = np.flatnonzero(is_nan)
    if len(found) <= most or most < 1:
        return found[: max(0, most)]
    size = -(-len(is_nan) // most)
    stretched = _stretched(is_nan, size, False)
    firsts: Indices = np.arange(len(stretched)) * size + stretched.argmax(axis=1)
    return firsts[stretched.any(axis=1)]


def _stretched(values: npt.NDArray[T], size: int, padding: float) -> npt.NDArray[T]:
    """The values in rows of `size`, the last one filled up."""
    missing = -len(values) % size
    return np.pad(values, (0, missing), constant_values=padding).reshape(-1, size)


def _most_telling(values: Values, is_nan: npt.NDArray[np.bool_], points: int) -> Indices:
    """For a handful of points: a NaN, the greatest, the last, the least, in this order of precedence."""
    candidates = [
        *np.flatnonzero(is_nan)[:1],
        np.where(is_nan, -np.inf, values).argmax(),
        len(values) - 1,
        np.where(is_nan, np.inf, values).argmin(),
    ]
    return np.unique(np.array(list(dict.fromkeys(map(int, candidates)))[:points], dtype=np.intp))
