"""What a picture shows of a run: its metrics, and what was usual of each at every moment."""

from __future__ import annotations

from array import array
from dataclasses import dataclass, field
from typing import Final

from trimtab import wire
from trimtab_monitor.detectors import DetectorSet
from trimtab_monitor.replay.bands import usual
from trimtab_monitor.types import Sample

PICTURED: Final = (wire.LOSS, wire.GRAD_NORM)


@dataclass(slots=True)
class Curve:
    """One metric, a value for each row in which it was measured, all in parallel.

    `expected` and `limit` are NaN where nothing was known yet.
    """

    steps: array[int] = field(default_factory=lambda: array("q"))
    values: array[float] = field(default_factory=lambda: array("d"))
    attempts: array[int] = field(default_factory=lambda: array("q"))
    expected: array[float] = field(default_factory=lambda: array("d"))
    limit: array[float] = field(default_factory=lambda: array("d"))


Curves = dict[str, Curve]
"""By metric."""


def keep(curves: Curves, sample: Sample, detectors: DetectorSet) -> None:
    """Keep what a picture shows of a sample that the detectors have not seen yet."""
    for name in PICTURED:
        value = sample.values.get(name)
        if value is not None:
            curve = curves.setdefault(name, Curve())
            curve.steps.append(sample.step)
            curve.values.append(value)
            curve.attempts.append(sample.attempt)
            expected, limit = usual(detectors, name)
            curve.expected.append(expected)
            curve.limit.append(limit)
