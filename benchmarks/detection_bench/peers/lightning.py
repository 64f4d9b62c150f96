"""Lightning's SpikeDetection: three times the mean of the last ten losses that were no spike."""

from __future__ import annotations

from collections import deque
from math import inf, isfinite

import numpy as np

from detection_bench.curves import Curve
from detection_bench.verdict import Verdict

WINDOW = 10
WARM_UP = 1
RELATIVE = 2.0


def lightning(curve: Curve) -> Verdict:
    """A spike: not finite, or above the last loss and off the mean by twice the mean."""
    accepted: deque[float] = deque(maxlen=WINDOW)
    last: float | None = None
    fired = np.zeros(curve.rows, dtype=bool)
    scores = np.zeros(curve.rows)
    for row, loss in enumerate(curve.loss.tolist()):
        if not isfinite(loss):
            fired[row], scores[row] = True, inf
            continue
        if accepted and last is not None and row >= WARM_UP:
            mean = sum(accepted) / len(accepted)
            rising = loss > last
            scores[row] = abs(loss - mean) / abs(mean) if rising and mean else 0.0
            fired[row] = rising and abs(loss - mean) >= RELATIVE * mean
        last = loss
        if not fired[row]:
            accepted.append(loss)
    return Verdict.of(fired, scores)
