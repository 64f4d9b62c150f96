"""trainscope's change point detector: a two-sided CUSUM (Page 1954) on robust z-scores of the loss."""

from __future__ import annotations

import numpy as np

from detection_bench.curves import Curve, Values
from detection_bench.peers.rolling import before
from detection_bench.verdict import Verdict

WINDOW = 200
FEWEST = 30
ALLOWANCE = 1.0
LIMIT = 6.0
MAD_TO_SIGMA = 1.4826
SMALLEST = 1e-12


def trainscope(curve: Curve) -> Verdict:
    """Fire when either sum reaches six, then begin anew. Losses that are not finite are passed over."""
    finite = np.flatnonzero(np.isfinite(curve.loss))
    fired = np.zeros(curve.rows, dtype=bool)
    scores = np.zeros(curve.rows)
    up = down = 0.0
    for row, z in zip(finite.tolist(), _robust_z(curve.loss[finite]).tolist(), strict=True):
        up, down = max(0.0, up + z - ALLOWANCE), min(0.0, down + z + ALLOWANCE)
        scores[row] = max(up, -down)
        if scores[row] >= LIMIT:
            fired[row] = True
            up = down = 0.0
    return Verdict.of(fired, scores)


def _robust_z(values: Values) -> Values:
    """Distance from the median of the (at most) 200 values before, in scaled median absolute deviations."""
    scores = np.zeros(len(values))
    for row in range(FEWEST, min(WINDOW, len(values))):
        scores[row] = _z(values[row : row + 1], values[None, :row])[0]
    for rows, window in before(values, WINDOW):
        scores[rows] = _z(values[rows], window)
    return scores


def _z(values: Values, window: Values) -> Values:
    centre = np.median(window, axis=1)
    spread = MAD_TO_SIGMA * np.median(np.abs(window - centre[:, None]), axis=1)
    z: Values = (values - centre) / np.maximum(spread, SMALLEST)
    return z
