"""One metric over all ranks as a series: its mean, lowest or highest value at each step.

`loss/mean`, `loss/min` and `loss/max` are asked for by these names. Of the ranks' rows only a few numbers a
step are kept, whatever the number of ranks; what was read once is not read again.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Final

import numpy as np
import numpy.typing as npt

from trimtab_monitor.folding.rank_losses import HIGHEST, LOWEST, MEAN
from trimtab_monitor.series.columns import MetricColumns, Rows, joined, newest_attempts, no_rows
from trimtab_monitor.store.protocols import Log

ENDINGS: Final = (MEAN, LOWEST, HIGHEST)
MERGED_ROWS: Final = 1_000_000
"""So many rows of ranks are gathered before they are put together."""

Numbers = npt.NDArray[np.float64]


def parted(metric: str) -> tuple[str, str] | None:
    """Return the metric of the ranks and what of it is asked for; None: no such ending."""
    ending = next((each for each in ENDINGS if metric.endswith(each) and metric != each), None)
    return None if ending is None else (metric.removesuffix(ending), ending)


@dataclass(slots=True)
class Spread:
    """For each attempt and step, in this order: the ranks' values so far; columns of equal length."""

    attempt: npt.NDArray[np.int64] = field(default_factory=lambda: np.empty(0, np.int64))
    step: npt.NDArray[np.int64] = field(default_factory=lambda: np.empty(0, np.int64))
    time: Numbers = field(default_factory=lambda: np.empty(0))
    count: npt.NDArray[np.int64] = field(default_factory=lambda: np.empty(0, np.int64))
    total: Numbers = field(default_factory=lambda: np.empty(0))
    lowest: Numbers = field(default_factory=lambda: np.empty(0))
    highest: Numbers = field(default_factory=lambda: np.empty(0))

    def plus(self, rows: Rows) -> Spread:
        """The same with more rows, of any ranks; times are the latest, a NaN makes its step's values NaN."""
        if not len(rows):
            return self
        attempt = np.concatenate([self.attempt, rows.attempt])
        step = np.concatenate([self.step, rows.step])
        order = np.lexsort((step, attempt))
        attempt, step = attempt[order], step[order]
        starts = np.flatnonzero(np.append(True, (np.diff(attempt) != 0) | (np.diff(step) != 0)))

        def merged(known: Numbers, more: Numbers, by: np.ufunc) -> Numbers:
            return np.asarray(by.reduceat(np.concatenate([known, more])[order], starts))

        with np.errstate(invalid="ignore"):  # infinities of both signs add up to no number
            total = merged(self.total, rows.value, np.add)
        return Spread(
            attempt[starts],
            step[starts],
            merged(self.time, rows.time, np.maximum),
            np.add.reduceat(np.concatenate([self.count, np.ones(len(rows), np.int64)])[order], starts),
            total,
            merged(self.lowest, rows.value, np.minimum),
            merged(self.highest, rows.value, np.maximum),
        )

    def told(self, ending: str) -> Rows:
        """The series that was asked for."""
        value = {MEAN: self.total / self.count, LOWEST: self.lowest, HIGHEST: self.highest}[ending]
        return Rows(self.attempt, self.step, self.time, value)

    @property
    def nbytes(self) -> int:
        """The memory that it takes."""
        columns = (self.attempt, self.step, self.time, self.count, self.total, self.lowest, self.highest)
        return sum(column.nbytes for column in columns)


@dataclass(slots=True)
class SpreadColumns:
    """The spread of one metric, and up to which log position each rank was read for it.

    A step that a rank sends again, in a batch that is read later, counts again in the mean.
    """

    metric: str
    positions: dict[int, int] = field(default_factory=dict)
    spread: Spread = field(default_factory=Spread)
    most_rows: int = MERGED_ROWS

    def catch_up(self, log: Log, run: str) -> None:
        """Read what was appended since, of every rank."""
        parts: list[Rows] = []
        gathered = 0
        for rank in log.ranks(run):
            columns = MetricColumns(self.metric, self.positions.get(rank, 0))
            columns.catch_up(log, run, rank)
            self.positions[rank] = columns.position
            parts.append(_once(columns.rows))
            gathered += len(parts[-1])
            if gathered > self.most_rows:
                self.spread, parts, gathered = self._with(parts), [], 0
        self.spread = self._with(parts)

    def _with(self, parts: Sequence[Rows]) -> Spread:
        return self.spread.plus(joined(parts) if parts else no_rows())

    @property
    def nbytes(self) -> int:
        """The memory that it takes."""
        return self.spread.nbytes + 64 * len(self.positions)


def _once(rows: Rows) -> Rows:
    """A rank's rows, each step of an attempt once: what came last."""
    parts = [newest_attempts(rows.take(rows.attempt == attempt)) for attempt in np.unique(rows.attempt)]
    return joined(parts) if parts else rows
