"""Labels of a made curve: what was injected and when, and what it did beside the same run without it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import isfinite, log
from typing import Final

from curve_making.injections import Injection
from curve_making.training import Measured

SMOOTHED: Final = 10
"""Steps over which the two runs are compared: single steps differ by chance."""

SHOWS: Final = log(1.03)
"""A slow rise begins, for whoever looks at the curve, where the loss is 3 % above the other run's."""

BACK: Final = log(1.05)
"""An event is over when the loss is back within 5 % of the run without the injection."""

MAJOR: Final = log(1.08)
"""An event is major if it raises the smoothed loss by 8 % or more."""


@dataclass(frozen=True, slots=True)
class Label:
    """A row of LABELS.csv. `end` is none for a kind without one, which had not ended when the run did."""

    kind: str
    start: int
    peak: int
    end: int | None
    severity: str
    comment: str


def label(
    injection: Injection, made: Sequence[Measured], twin: Sequence[Measured], note: str
) -> Label | None:
    """Label one injection; none if it is benign by intent."""
    kind = injection.kind
    if kind is None:
        return None
    start = injection.first_seen
    if kind == "nan":
        return Label(kind, start, start, None, "major", note)
    excess = _excess(made, twin, start)
    if injection.steps == 1:
        return Label(kind, start, start, start, "minor", note)
    end = _end(excess, start)
    if kind == "level_shift" and end is not None:
        kind = "spike"
    if kind == "spike" and end is None:
        end = made[-1].step
    severity = "major" if max(excess) >= MAJOR else "minor"
    if kind == "divergence":
        start += next((at for at, value in enumerate(excess) if value >= SHOWS), 0)
    return Label(kind, start, _peak(made, start, end), end, severity, note)


def _peak(made: Sequence[Measured], start: int, end: int | None) -> int:
    inside = [row for row in made if start <= row.step <= (end or made[-1].step) and isfinite(row.loss)]
    return max(inside, key=lambda row: row.loss).step


def _excess(made: Sequence[Measured], twin: Sequence[Measured], start: int) -> list[float]:
    """ln(loss / the twin's) from `start` on, each the mean of that step and the next nine."""
    pairs = zip(made[start - 1 :], twin[start - 1 :], strict=False)
    ratios = [log(row.loss / other.loss) if isfinite(row.loss) else 9.0 for row, other in pairs]
    last = max(1, len(ratios) - SMOOTHED + 1)
    return [sum(ratios[at : at + SMOOTHED]) / len(ratios[at : at + SMOOTHED]) for at in range(last)]


def _end(excess: Sequence[float], start: int) -> int | None:
    """The last step of the event: the smoothed excess stays under the limit after it."""
    above = [at for at, value in enumerate(excess) if value >= BACK]
    if not above:
        return start
    return None if above[-1] == len(excess) - 1 else start + above[-1]
