"""InternEvo's monitor: the loss is more than 1.5 times that of the step before."""

from __future__ import annotations

import numpy as np

from detection_bench.curves import Curve
from detection_bench.verdict import Verdict

RATIO = 1.5


def intern_evo(curve: Curve) -> Verdict:
    """NaN never fires: it is not greater than anything."""
    scores = np.zeros(curve.rows)
    fired = np.zeros(curve.rows, dtype=bool)
    now, last = curve.loss[1:], curve.loss[:-1]
    fired[1:] = now > RATIO * last
    with np.errstate(invalid="ignore"):
        scores[1:] = np.divide(now, last, out=np.zeros(len(now)), where=last > 0)
    return Verdict.of(fired, scores)
