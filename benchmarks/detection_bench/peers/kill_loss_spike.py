"""llm-foundry's KillLossSpike callback: five losses in a row at twice the mean of the window."""

from __future__ import annotations

from collections import deque

import numpy as np

from detection_bench.curves import Curve
from detection_bench.verdict import Verdict

FIRST_WINDOW = 100
WINDOW_SHARE = 0.05
MULTIPLIER = 2.0
PATIENCE = 4
LOSS_CAP = 10.0


def kill_loss_spike(curve: Curve) -> Verdict:
    """As shipped: once 100 losses are known the window grows to 5 % of the run, and must fill first.

    Each loss is appended after the test, so the mean chases the spike; a NaN makes the mean NaN. A second
    test counts losses above a cap.
    """
    width = max(FIRST_WINDOW, round(WINDOW_SHARE * curve.rows))
    window: deque[float] = deque(maxlen=width)
    in_a_row = 0
    fired = np.zeros(curve.rows, dtype=bool)
    scores = np.zeros(curve.rows)
    for row, loss in enumerate(curve.loss.tolist()):
        if len(window) == width:
            mean = sum(window) / width
            scores[row] = loss / mean if mean > 0.0 else 0.0
            in_a_row = in_a_row + 1 if loss >= MULTIPLIER * mean else 0
            many_high = row >= 2 * width and sum(known > LOSS_CAP for known in window) >= width / 2
            fired[row] = in_a_row > PATIENCE or many_high
        window.append(loss)
    return Verdict.of(fired, scores)
