"""OLMo-core's StabilityMonitor, and the spike score of the OLMo 2 paper."""

from __future__ import annotations

import numpy as np

from detection_bench.curves import Curve
from detection_bench.peers.rolling import sigmas
from detection_bench.verdict import Verdict

CORE_WINDOW = 128
CORE_SIGMAS = 6.0
LEAST_SPREAD = 1e-10
HINDSIGHT_WINDOW = 32
HINDSIGHT_SIGMAS = 30.0
PAPER_WINDOW = 1000
PAPER_SIGMAS = 7.0


def olmo_core_loss(curve: Curve) -> Verdict:
    """Six standard deviations above the mean of the last 128; the trainer stops at a non-finite loss."""
    return _above(curve, CORE_WINDOW, CORE_SIGMAS)


def olmo_core_hindsight(curve: Curve) -> Verdict:
    """The same with a window and a limit that do about best on recorded curves, chosen on those."""
    return _above(curve, HINDSIGHT_WINDOW, HINDSIGHT_SIGMAS)


def _above(curve: Curve, window: int, limit: float) -> Verdict:
    scores = sigmas(curve.loss, window, LEAST_SPREAD)
    scores[~np.isfinite(curve.loss)] = np.inf
    return Verdict.of(scores > limit, scores)


def olmo_core(curve: Curve) -> Verdict:
    """The same of loss or gradient norm, whichever is further off."""
    scores = olmo_core_loss(curve).scores
    assert scores is not None
    if curve.grad_norm is not None:
        scores = np.maximum(scores, sigmas(curve.grad_norm, CORE_WINDOW, LEAST_SPREAD))
    return Verdict.of(scores > CORE_SIGMAS, scores)


def olmo2_paper(curve: Curve) -> Verdict:
    """At least seven standard deviations away, on either side, from the mean of the last 1,000 losses."""
    scores = np.abs(sigmas(curve.loss, PAPER_WINDOW, LEAST_SPREAD))
    return Verdict.of(scores >= PAPER_SIGMAS, scores)
