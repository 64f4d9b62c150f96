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
    infinities count) and, if the series has any NaN, the first NaN.
    """
    n = len(values)
    if n <= points:
        return np.arange(n)
    is_nan = np.isnan(values)
    per_stretch = 3 if is_nan.any() else 2
    stretches = (points - 2) // per_stretch
    if stretches < 1:
        return _most_telling(values, is_nan, points)
    size = -(-n // stretches)
    low = _stretched(np.where(is_nan, np.inf, values), size, np.inf)
    high = _stretched(np.where(is_nan, -np.inf, values), size, -np.inf)
    starts = np.arange(len(low)) * size
    chosen = [np.array([0, n - 1]), starts + low.argmin(axis=1), starts + high.argmax(axis=1)]
    if per_stretch == 3:
        marks = _stretched(is_nan, size, False)
        chosen.append((starts + marks.argmax(axis=1))[marks.any(axis=1)])
    return np.unique(np.concatenate(chosen))


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
