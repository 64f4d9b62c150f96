"""What runs and projects have spent, read from the committed state with the factors as they are now."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterable, Sequence
from typing import Final

from trimtab_monitor.budget.limits import Limit, limits_of_run
from trimtab_monitor.budget.lines import Line, line_of
from trimtab_monitor.budget.settings import BudgetSettings
from trimtab_monitor.budget.spending import NOTHING, Price, Spent, spent_of, together
from trimtab_monitor.entries import Registration
from trimtab_monitor.folding.run_state import unpack
from trimtab_monitor.liveness import LIVE
from trimtab_monitor.store.protocols import State, Views
from trimtab_monitor.summary import RunSummary

KEPT_S: Final = 600.0
KEPT_PART: Final = 0.1
"""For how long it is remembered what a run that is over has spent, and for what part of the time since then:
factors may still come late, and the later the fewer."""


class Accounts:
    """Answers what is spent. Asked from several threads; `clock` is Unix seconds.

    Of runs that are over the figures are kept for a while: a project may have had thousands.
    """

    def __init__(
        self,
        state: State,
        views: Views,
        settings: BudgetSettings,
        currency: str,
        price: Price,
        clock: Callable[[], float],
    ) -> None:
        self._state = state
        self._views = views
        self._settings = settings
        self._currency = currency
        self._price = price
        self._clock = clock
        self._lock = threading.Lock()
        self._kept: dict[str, tuple[float, float, Spent]] = {}

    def own_lines(self, registration: Registration, spent: Spent) -> list[Line]:
        """The limits of a run that has spent so much."""
        limits = limits_of_run(registration.budget, self._settings.of_each_run)
        return [line_of(limit, spent, self._currency) for limit in limits]

    def project_lines(
        self, registration: Registration, runs: Sequence[RunSummary] | None = None
    ) -> list[Line]:
        """The limits that a run counts to beside its own; `runs` are all of its project, none: read them."""
        limits = self._settings.of_project(registration.project, registration.phase)
        if not limits:
            return []
        if runs is None:
            every = self._views.summaries()
            runs = [run for run in every if run.registration.project == registration.project]
        return [self._project_line(limit, runs) for limit in limits]

    def lines_of(self, project: str, runs: Sequence[RunSummary]) -> list[Line]:
        """All limits of a project and of its phases; `runs` are all of its runs."""
        return [self._project_line(limit, runs) for limit in self._settings.limits_of(project)]

    def of_run(self, run: RunSummary) -> Spent:
        """What a run has spent."""
        kept = self._kept.get(run.run)
        now = self._clock()
        if kept is not None and kept[0] == run.heard and now < kept[1]:
            return kept[2]
        packed = self._state.load(run.run)
        if packed is None:
            return NOTHING
        state = unpack(packed)
        spent = spent_of(state.ledger, self._price(state))
        if run.status not in LIVE:
            self._keep(run, now, spent)
        return spent

    def of_runs(self, runs: Iterable[RunSummary]) -> Spent:
        """What several runs have spent together."""
        return together(self.of_run(run) for run in runs)

    def _project_line(self, limit: Limit, runs: Sequence[RunSummary]) -> Line:
        counted = (run for run in runs if limit.phase in (None, run.registration.phase))
        return line_of(limit, self.of_runs(counted), self._currency)

    def _keep(self, run: RunSummary, now: float, spent: Spent) -> None:
        with self._lock:
            self._kept = {name: kept for name, kept in self._kept.items() if now < kept[1]}
            until = now + max(KEPT_S, KEPT_PART * (now - run.heard))
            self._kept[run.run] = (run.heard, until, spent)
