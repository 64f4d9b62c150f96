"""Labelled events: what LABELS.csv says of a curve, in rows of it."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Final

from detection_bench.tables import Line

CLEAN: Final = "clean"
"""In the column of kinds: a curve without an event."""

KINDS: Final = ("spike", "divergence", "nan", "level_shift")
SEVERITIES: Final = ("major", "minor")

OPEN_ENDED: Final = frozenset({"divergence", "nan", "level_shift"})
"""An event of these kinds without an end lasts until the end of the curve; any other until its peak."""

DONT_CARE: Final = ("en-bloc", "uncertain")
"""Words in a label's comment that say that nobody looked at it closely."""


@dataclass(frozen=True, slots=True)
class Event:
    """A labelled event, in rows of its curve counted from 0; both ends belong to it."""

    kind: str
    start: int
    end: int
    severity: str = "major"
    certain: bool = True

    @property
    def must_be_found(self) -> bool:
        """Whether missing it is a miss; every other event is don't-care."""
        return self.severity == "major" and self.certain


def event_of(label: Line, steps: Sequence[int]) -> Event:
    """Make the event of a label, of a curve with these steps.

    Raises:
        CurvesError: the label says what cannot be.
    """
    kind, severity = _one_of(label, "kind", (*KINDS, CLEAN)), _one_of(label, "severity", SEVERITIES)
    start = _row(label, "start_step", steps)
    if start == len(steps):
        raise label.wrong(f"start_step {label['start_step']} is after the last step, {steps[-1]}", "mend it")
    if label["end_step"]:
        end = _row(label, "end_step", steps)
    elif kind in OPEN_ENDED:
        end = len(steps)
    else:
        end = _row(label, "peak_step" if label["peak_step"] else "start_step", steps)
    if end < start:
        raise label.wrong(f"it ends before it starts, at step {label['start_step']}", "mend end or peak")
    return Event(kind, start, end, severity, not any(word in label["comment"] for word in DONT_CARE))


def _one_of(label: Line, column: str, known: Collection[str]) -> str:
    if label[column] not in known:
        raise label.wrong(f"unknown {column} {label[column]!r}", f"give one of {', '.join(known)}")
    return label[column]


def _row(label: Line, column: str, steps: Sequence[int]) -> int:
    return bisect_left(steps, label.number(column))
