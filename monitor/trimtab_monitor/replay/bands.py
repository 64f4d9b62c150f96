"""What counts as usual at a moment of a run: what a metric should be, and how far up it may go unmarked."""

from __future__ import annotations

from math import exp, log, nan
from typing import Final, NamedTuple

from trimtab import wire
from trimtab_monitor.detectors import DetectorSet
from trimtab_monitor.detectors.excursion import Excursion
from trimtab_monitor.detectors.series import LINEAR_UNIT


class Usual(NamedTuple):
    """What is expected of the next sample, and from where on it is marked, in the metric's own unit."""

    expected: float
    limit: float


UNKNOWN: Final = Usual(nan, nan)
"""While the detectors still learn."""


def usual(detectors: DetectorSet, metric: str) -> Usual:
    """Tell what the detectors know of a metric before they have seen its next sample."""
    if metric == wire.LOSS:
        return _of(detectors.loss_spike.excursion)
    if metric == wire.GRAD_NORM:
        return _of(detectors.grad_explosion.excursion)
    return UNKNOWN


def _of(excursion: Excursion) -> Usual:
    series, settings = excursion.series, excursion.settings
    if not series.warm:
        return UNKNOWN
    level, expected = series.level, series.expected
    far = level.residual_at(log(1e6 / settings.false_alarms_per_million))
    if not series.linear:
        return Usual(expected, expected * exp(min(max(far, log(1.0 + settings.min_rise)), 700.0)))
    noticeable = settings.min_rise * max(abs(level.expected), LINEAR_UNIT * level.scale)
    return Usual(expected, expected + max(far, noticeable))
