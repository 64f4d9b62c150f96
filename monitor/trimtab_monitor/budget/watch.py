"""Looks at budgets now and then, and puts into the log what there is to tell of them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from trimtab_monitor.budget.accounts import Accounts
from trimtab_monitor.budget.lines import Line
from trimtab_monitor.budget.settings import BudgetSettings
from trimtab_monitor.budget.verdict import Told
from trimtab_monitor.entries import BudgetReached, draft_of
from trimtab_monitor.intake.intake import Intake
from trimtab_monitor.liveness import LIVE
from trimtab_monitor.store.protocols import Store
from trimtab_monitor.summary import RunSummary


class BudgetWatch:
    """Factors depend on the clock, and projects on many runs: so levels are noticed here, outside the fold.

    What the fold was told is in the runs' summaries: a restart tells nothing twice.
    """

    def __init__(self, store: Store, intake: Intake, accounts: Accounts, settings: BudgetSettings) -> None:
        self._store = store
        self._intake = intake
        self._accounts = accounts
        self._settings = settings

    def look(self) -> None:
        """Tell of every budget of a live run that has come to a new level."""
        views = self._store.views
        found = [run for name in self._store.state.live() if (run := views.summary(name)) is not None]
        live = [run for run in found if run.status in LIVE]
        for run in live:
            self._look_at_run(run)
        looked_at: set[str] = set()
        for run in _newest_of_projects(live):
            self._look_at_project(run, looked_at)

    def _look_at_run(self, run: RunSummary) -> None:
        if run.registration.budget is None and not self._settings.limits_runs:
            return
        for line in self._accounts.own_lines(run.registration, self._accounts.of_run(run)):
            self._tell(run, line, run.budgets.get(line.limit.name))

    def _look_at_project(self, run: RunSummary, looked_at: set[str]) -> None:
        """The newest live run that counts to a budget tells of it."""
        lines = self._accounts.project_lines(run.registration.project, run.registration.phase)
        if not lines:
            return
        runs = self._store.views.summaries()
        for line in lines:
            if line.limit.name in looked_at:
                continue
            looked_at.add(line.limit.name)
            self._tell(run, line, _last_told(runs, line.limit.name))

    def _tell(self, run: RunSummary, line: Line, told: Told | None) -> None:
        now = self._intake.now()
        reached = line.reached(told, self._settings.warn_at, now)
        if reached is not None:
            self._intake.append(draft_of(BudgetReached(now, run.run, reached))).result()


def _newest_of_projects(live: Sequence[RunSummary]) -> Iterator[RunSummary]:
    """The newest run of each project and phase, newest first."""
    seen: set[tuple[str, str | None]] = set()
    for run in sorted(live, key=lambda run: run.created, reverse=True):
        of = (run.registration.project, run.registration.phase)
        if of not in seen:
            seen.add(of)
            yield run


def _last_told(runs: Sequence[RunSummary], name: str) -> Told | None:
    told = [run.budgets[name] for run in runs if name in run.budgets]
    return max(told, key=lambda each: each.time, default=None)
