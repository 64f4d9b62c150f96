"""What a detector says of a curve, and the protocol by which it is asked."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from detection_bench.curves import Curve, Values


@dataclass(frozen=True, slots=True)
class Alarm:
    """One alarm: the row to which it is dated, the row at which a person would be told, and its kind."""

    row: int
    told_row: int
    severity: str = "critical"
    kind: str = ""


@dataclass(frozen=True)
class Verdict:
    """Alarms in order of their rows, marks that page nobody, and how anomalous each row is, if it says so."""

    alarms: Sequence[Alarm] = ()
    marks: Sequence[int] = ()
    scores: Values | None = None

    @classmethod
    def of(cls, fired: NDArray[np.bool_], scores: Values | None = None) -> Verdict:
        """The verdict of a detector that fires at these rows."""
        return cls.at(np.flatnonzero(fired).tolist(), scores)

    @classmethod
    def at(cls, rows: Iterable[int], scores: Values | None = None) -> Verdict:
        """The verdict of a detector that fires at the rows of these numbers."""
        return cls([Alarm(row, row) for row in rows], scores=scores)


Detector = Callable[[Curve], Verdict]
"""Looks at a curve, causally: what it says of a row depends on no later one."""
