"""ZClip's z-score of the gradient norm, taken as an alarm: the norm that it would clip."""

from __future__ import annotations

from math import sqrt

import numpy as np

from detection_bench.curves import Curve
from detection_bench.verdict import Verdict

WARM_UP = 25
ALPHA = 0.97
Z_LIMIT = 2.5
EPSILON = 1e-6


def zclip(curve: Curve) -> Verdict:
    """Mean and variance of 25 norms, then running ones of the norms as clipped. A NaN blinds it for good."""
    if curve.grad_norm is None or curve.rows <= WARM_UP:
        return Verdict()
    norms = curve.grad_norm.tolist()
    mean, variance = float(np.mean(norms[:WARM_UP])), float(np.var(norms[:WARM_UP]))
    scores = np.zeros(curve.rows)
    for row in range(WARM_UP, curve.rows):
        norm, spread = norms[row], sqrt(variance)
        z = (norm - mean) / (spread + EPSILON)
        scores[row] = z
        clipped = mean + Z_LIMIT * spread / (z / Z_LIMIT) if z > Z_LIMIT else norm
        mean = ALPHA * mean + (1 - ALPHA) * clipped
        variance = ALPHA * variance + (1 - ALPHA) * (clipped - mean) ** 2
    return Verdict.of(scores > Z_LIMIT, scores)
