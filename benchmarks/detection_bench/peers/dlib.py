"""dlib's dnn_trainer: is the loss probably rising since the last synchronisation?"""

from __future__ import annotations

from math import erfc, sqrt

import numpy as np

from detection_bench.curves import Curve, Values
from detection_bench.verdict import Verdict

SYNC_ROWS = 300
"""dlib synchronises every 15 minutes; on recorded curves, every so many rows."""

FEWEST = 30
ROBUST_PERCENTILE = 90.0
FIRST_THRESHOLD = 0.99
LAST_THRESHOLD = 0.99999


def dlib(curve: Curve) -> Verdict:
    """A non-finite loss, or a slope that is positive with a probability above the threshold.

    The slope is that of a least-squares line through the losses since a little before the last
    synchronisation (at most twice the period), of all and of those up to the 90th percentile, whichever rises
    more surely. An alarm raises the threshold and forgets the losses, as a reload does; a quiet period lowers
    it again.
    """
    loss = curve.loss
    threshold, begin = FIRST_THRESHOLD, 0
    alarms = []
    scores = np.zeros(curve.rows)
    for end in range(SYNC_ROWS, curve.rows + 1, SYNC_ROWS):
        row = end - 1
        probability = _rises(loss[max(begin, end - 2 * SYNC_ROWS) : end])
        scores[row : row + SYNC_ROWS] = probability
        if probability > threshold:
            alarms.append(row)
            threshold, begin = min(0.1 * threshold + 0.9, LAST_THRESHOLD), end
        else:
            threshold = max(threshold**10, FIRST_THRESHOLD)
    return Verdict.at(alarms, scores)


def _rises(loss: Values) -> float:
    if not np.isfinite(loss).all():
        return 1.0
    low = loss[loss <= np.percentile(loss, ROBUST_PERCENTILE)] if len(loss) else loss
    return max(_probability_of_rise(loss), _probability_of_rise(low))


def _probability_of_rise(values: Values) -> float:
    """P(slope > 0) = 1 - Phi(-w / se), with se = sqrt(RSS / (n - 2) * 12 / (n^3 - n)) of the fitted line."""
    count = len(values)
    if count < FEWEST:
        return 0.0
    rows = np.arange(count) - (count - 1) / 2
    centred = values - values.mean()
    slope = float(rows @ centred / (rows @ rows))
    residuals = centred - slope * rows
    error = sqrt(float(residuals @ residuals) / (count - 2) * 12 / (count**3 - count))
    if error == 0.0:
        return float(slope > 0.0)
    return 0.5 * erfc(-slope / error / sqrt(2))
