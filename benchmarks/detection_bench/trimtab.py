"""Trimtab as a detector: its own detectors and incident book over a curve, as `trimtab replay` runs them."""

from __future__ import annotations

from collections.abc import Iterator
from math import isfinite, log

import numpy as np

from detection_bench.curves import Curve
from detection_bench.verdict import Alarm, Detector, Verdict
from trimtab import wire
from trimtab_monitor.detectors import DetectorSet, DetectorSettings
from trimtab_monitor.detectors.excursion import Excursion
from trimtab_monitor.incidents import IncidentBook
from trimtab_monitor.types import Incident, Sample

PAGES = ("warning", "critical")
"""Incidents of these severities are alarms; `info` is a mark on the chart."""

NON_FINITE_SCORE = 1e6


def trimtab(settings: DetectorSettings, *, with_scores: bool = True) -> Detector:
    """Make Trimtab with these settings."""

    def run(curve: Curve) -> Verdict:
        return replay(curve, settings, with_scores=with_scores)

    return run


def replay(curve: Curve, settings: DetectorSettings, *, with_scores: bool = True) -> Verdict:
    """Run a curve through; an alarm is dated to where its incident was detected.

    A person is told at the row at which its severity became `warning`, which may be later.
    """
    detectors = DetectorSet.build(settings)
    book = IncidentBook(curve.name)
    incidents: dict[str, Incident] = {}
    detected: dict[str, int] = {}
    told: dict[str, int] = {}
    scores = np.zeros(curve.rows)
    for row, sample in enumerate(samples(curve)):
        if with_scores:
            scores[row] = anomaly_score(detectors, sample)
        for incident in book.observe(sample, detectors.update(sample), detectors.active):
            incidents[incident.id] = incident
            detected.setdefault(incident.id, row)
            if incident.severity in PAGES:
                told.setdefault(incident.id, row)
    alarms = [Alarm(detected[id_], told[id_], incidents[id_].severity, incidents[id_].kind) for id_ in told]
    marks = [row for id_, row in detected.items() if id_ not in told]
    return Verdict(alarms, marks, scores if with_scores else None)


def samples(curve: Curve) -> Iterator[Sample]:
    """The rows of a curve as samples. A step that goes back begins a new attempt."""
    columns = [(name, values.tolist()) for name, values in curve.columns.items()]
    attempt, last = 0, None
    for row, step in enumerate(curve.steps):
        attempt += last is not None and step < last
        last = step
        yield Sample(step, float(row), {name: values[row] for name, values in columns}, attempt)


def anomaly_score(detectors: DetectorSet, sample: Sample) -> float:
    """How anomalous a sample is by what the detectors knew before it: surprise, -ln of a probability.

    The only place that looks into the detectors; it reads their state and leaves it as it is.
    """
    scores = [0.0]
    for metric, excursion in (
        (wire.LOSS, detectors.loss_spike.excursion),
        (wire.GRAD_NORM, detectors.grad_explosion.excursion),
    ):
        value = sample.values.get(metric)
        if value is not None:
            scores.append(_surprise(excursion, value) if isfinite(value) else NON_FINITE_SCORE)
    return max(scores)


def _surprise(excursion: Excursion, value: float) -> float:
    series = excursion.series
    if not series.warm or (value <= 0.0 and not series.linear):
        return 0.0
    level = series.level
    return level.surprise(level.residual(value if series.linear else log(value)))
