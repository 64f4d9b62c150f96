"""Which runs need no look yet: what they used since the last one cannot have brought them to a new level."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Final

from trimtab_monitor.budget.limits import RunBudget
from trimtab_monitor.budget.lines import Line
from trimtab_monitor.budget.verdict import USED_UP
from trimtab_monitor.liveness import Status
from trimtab_monitor.summary import RunSummary

PATIENCE_S: Final = 300.0
"""Prices change by the hour and gaps add to the most that was used: so no run is passed over for longer."""


@dataclass(frozen=True, slots=True)
class _Look:
    at: float
    joules: float | None
    factor: float
    budget: RunBudget | None
    status: Status


class Patience:
    """Remembers the last look at each run: a look unpacks its whole state, and there may be 1,000 runs.

    A run is looked at again once its energy has grown by half of what its next level is away.
    """

    def __init__(self, warn_at: float) -> None:
        self._warn_at = warn_at
        self._looks: dict[str, _Look] = {}

    def may_wait(self, run: RunSummary, now: float) -> bool:
        """Whether nothing can be new of this run's own budgets."""
        last = self._looks.get(run.run)
        if last is None or now - last.at >= PATIENCE_S:
            return False
        if (last.budget, last.status) != (run.registration.budget, run.status):
            return False
        if last.joules is None or run.joules is None:
            return run.joules == last.joules
        return run.joules < last.factor * last.joules or run.joules == last.joules

    def looked_at(self, run: RunSummary, lines: Sequence[Line], now: float) -> None:
        """A run was looked at, and its budgets are these."""
        ratios = [line.ratio for line in lines if line.ratio]
        away = min((self._next_level(ratio) / ratio for ratio in ratios), default=1.0)
        factor = 1.0 + (away - 1.0) / 2.0
        self._looks[run.run] = _Look(now, run.joules, factor, run.registration.budget, run.status)

    def forget_others(self, runs: Iterable[RunSummary]) -> None:
        """Only these runs are looked at any more."""
        names = {run.run for run in runs}
        self._looks = {name: look for name, look in self._looks.items() if name in names}

    def _next_level(self, ratio: float) -> float:
        level = self._warn_at if ratio < self._warn_at else USED_UP
        return level if ratio < level else float("inf")
