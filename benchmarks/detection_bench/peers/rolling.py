"""Statistics of the values before each row."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np
from numpy.lib.stride_tricks import sliding_window_view

from detection_bench.curves import Values

CHUNK_ROWS = 2048


def before(values: Values, width: int) -> Iterator[tuple[slice, Values]]:
    """Yield rows, from `width` on, with the `width` values before each: (rows, width), a chunk at a time."""
    if len(values) <= width:
        return
    windows = sliding_window_view(values, width)[:-1]
    for start in range(0, len(windows), CHUNK_ROWS):
        chunk = windows[start : start + CHUNK_ROWS]
        yield slice(width + start, width + start + len(chunk)), chunk


def sigmas(values: Values, width: int, least: float = 0.0) -> Values:
    """How many standard deviations each value lies above the mean of the `width` before it.

    Zero while there are fewer, where one of them is not finite (so one NaN blinds it for `width` rows), and
    where the standard deviation is below `least`.
    """
    scores = np.zeros(len(values))
    with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
        for rows, window in before(values, width):
            spread = window.std(axis=1)
            score = (values[rows] - window.mean(axis=1)) / spread
            scores[rows] = np.where((spread > least) & ~np.isnan(score), score, 0.0)
    return scores
