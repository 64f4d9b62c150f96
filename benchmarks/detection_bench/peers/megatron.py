"""Megatron-LM's check for spiky loss: ten times the largest of the first hundred, for good."""

from __future__ import annotations

import numpy as np

from detection_bench.curves import Curve
from detection_bench.verdict import Verdict

CALLS = 100
FACTOR = 10.0


def megatron(curve: Curve) -> Verdict:
    """The spiky-loss test with the check for NaN and infinity that stands beside it."""
    size = np.abs(curve.loss)
    known = np.isfinite(size)
    first = size[:CALLS][known[:CALLS]]
    largest = float(first.max()) if len(first) else np.inf
    ratio = np.where(known, size / largest if largest > 0 else 0.0, np.inf)
    ratio[:CALLS][known[:CALLS]] = 0.0
    return Verdict.of((ratio >= FACTOR) | ~known, ratio)
