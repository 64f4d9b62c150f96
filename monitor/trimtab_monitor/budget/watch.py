"""Looks at budgets now and then, and puts into the log what there is to tell of them."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator, Sequence
from typing import Final

from trimtab_monitor.budget.accounts import Accounts
from trimtab_monitor.budget.lines import Line
from trimtab_monitor.budget.patience import Patience
from trimtab_monitor.budget.settings import BudgetSettings
from trimtab_monitor.budget.verdict import Told
from trimtab_monitor.entries import BudgetReached, draft_of
from trimtab_monitor.intake.intake import Intake
from trimtab_monitor.liveness import LIVE
from trimtab_monitor.store.protocols import Store
from trimtab_monitor.summary import RunSummary

log = logging.getLogger(__name__)

REST: Final = 20.0
"""A look at projects unpacks every live run of them: for so many times its length there is none after it."""

ENDED_S: Final = 3600.0
"""For so long a run that is over is still looked at: it may have come to a level after the last look."""


class BudgetWatch:
    """Factors depend on the clock, and projects on many runs: so levels are noticed here, outside the fold.

    What the fold was told is in the runs' summaries: a restart tells nothing twice.
    """

    def __init__(self, store: Store, intake: Intake, accounts: Accounts, settings: BudgetSettings) -> None:
        self._store = store
        self._intake = intake
        self._accounts = accounts
        self._settings = settings
        self._patience = Patience(settings.warn_at)
        self._told_unknown: set[str] = set()
        self._rests_until = 0.0

    def look(self) -> None:
        """Tell of every budget of a run that goes on, or has just ended, that has come to a new level."""
        runs = self._runs()
        self._patience.forget_others(runs)
        for run in runs:
            self._look_at_run(run)
        began = time.monotonic()
        if self._settings.projects and began >= self._rests_until:
            self._look_at_projects(runs)
            now = time.monotonic()
            self._rests_until = now + REST * (now - began)

    def _runs(self) -> list[RunSummary]:
        """Those that go on, and those that ended a short while ago."""
        views = self._store.views
        recent = {run.run: run for run in views.summaries(heard_since=self._intake.now() - ENDED_S)}
        quiet = (views.summary(name) for name in self._store.state.live() if name not in recent)
        return [*recent.values(), *(run for run in quiet if run is not None)]

    def _look_at_run(self, run: RunSummary) -> None:
        if run.registration.budget is None and not self._settings.limits_runs:
            return
        now = self._intake.now()
        if self._patience.may_wait(run, now):
            return
        lines = self._accounts.own_lines(run.registration, self._accounts.of_run(run))
        for line in lines:
            self._tell(run, line, run.budgets.get(line.limit.name))
        self._patience.looked_at(run, lines, now)

    def _look_at_projects(self, runs: Sequence[RunSummary]) -> None:
        """Who told of a budget before tells of it, if it goes on, else the newest run that counts to it."""
        everything = self._store.views.summaries()
        looked_at: set[str] = set()
        for run in _newest_of_projects(runs):
            counted = [each for each in everything if each.registration.project == run.registration.project]
            for line in self._accounts.project_lines(run.registration, counted):
                name = line.limit.name
                if name in looked_at:
                    continue
                looked_at.add(name)
                teller = _last_teller(counted, name)
                told = None if teller is None else teller.budgets[name]
                goes_on = teller is not None and teller.status in LIVE
                self._tell(teller if teller is not None and goes_on else run, line, told)

    def _tell(self, run: RunSummary, line: Line, told: Told | None) -> None:
        now = self._intake.now()
        self._tell_of_unknown(run, line)
        reached = line.reached(told, self._settings.warn_at, now)
        if reached is not None:
            self._intake.append(draft_of(BudgetReached(now, run.run, reached))).result()

    def _tell_of_unknown(self, run: RunSummary, line: Line) -> None:
        """Whoever keeps the collector is told once of each kind of budget that nothing can reach."""
        if line.out_of_reach and line.note is not None and line.note not in self._told_unknown:
            self._told_unknown.add(line.note)
            log.warning("a budget of run %s (%s) is never reached: %s", run.run, line.limit.name, line.note)


def _newest_of_projects(runs: Sequence[RunSummary]) -> Iterator[RunSummary]:
    """The newest run of each project and phase, newest first; those that go on before those that are over."""
    seen: set[tuple[str, str | None]] = set()
    for run in sorted(runs, key=lambda run: (run.status in LIVE, run.created), reverse=True):
        of = (run.registration.project, run.registration.phase)
        if of not in seen:
            seen.add(of)
            yield run


def _last_teller(runs: Sequence[RunSummary], name: str) -> RunSummary | None:
    """The run that told of this budget last."""
    tellers = (run for run in runs if name in run.budgets)
    return max(tellers, key=lambda run: run.budgets[name].time, default=None)
