"""What runs emitted, cost and used of their budgets, with the factors as they are when asked.

Joules are in every summary; grams and money need the energy by the hour, which is in the state of the run.
A state takes a while to read where a run has a thousand devices (a quarter of a second), so that what was
worked out is kept for a minute, and one scrape has half a second for it: a run that was not reached yet is
left out, and comes with the next.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from prometheus_client.core import Metric

from trimtab_monitor import metric_names as names
from trimtab_monitor.metrics.families import gauge
from trimtab_monitor.summary import RunSummary

KEPT_S: Final = 60.0
KEPT_OVER_S: Final = 600.0
"""Of a run of which nothing new was heard: factors may still come late."""
PATIENCE_S: Final = 0.5

ACCOUNTINGS: Final = ("location", "market")

Look = Callable[[RunSummary], Mapping[str, Any] | None]
"""The body of `GET /v1/runs/{run}/ledger`; none if nothing of the run was folded yet."""


@dataclass(frozen=True, slots=True)
class Kept:
    """What a run had come to at `time`, when it was last heard of at `heard`."""

    time: float
    heard: float
    emissions_g: Mapping[str, float | None]
    cost: float | None
    currency: str
    budgets: Mapping[str, float | None]

    def is_fresh(self, run: RunSummary, now: float) -> bool:
        """Whether it still holds."""
        return now < self.time + (KEPT_OVER_S if run.heard == self.heard else KEPT_S)


class PricedRuns:
    """Looks at runs no more often than it has to. `clock` is Unix seconds, `stopwatch` never set back."""

    def __init__(
        self, look: Look, clock: Callable[[], float], stopwatch: Callable[[], float] = time.monotonic
    ) -> None:
        self._look = look
        self._clock = clock
        self._stopwatch = stopwatch
        self._kept: dict[str, Kept] = {}

    def collect(self, runs: Sequence[RunSummary]) -> Iterator[Metric]:
        """Emissions, cost and budgets of those runs."""
        self._renew(runs)
        kept = [(run.run, self._kept[run.run]) for run in runs if run.run in self._kept]
        yield gauge(
            names.RUN_EMISSIONS_GRAMS,
            "CO2e so far in grams, with the factors as they are.",
            ["run", "accounting"],
            (
                ([run, accounting], grams)
                for run, each in kept
                for accounting in ACCOUNTINGS
                if (grams := each.emissions_g[accounting]) is not None
            ),
        )
        yield gauge(
            names.RUN_COST,
            "What it has cost so far, with the prices as they are.",
            ["run", "currency"],
            (([run, each.currency], each.cost) for run, each in kept if each.cost is not None),
        )
        yield gauge(
            names.RUN_BUDGET_RATIO,
            "What of a budget is used at most; 1 is all of it.",
            ["run", "budget"],
            (
                ([run, budget], ratio)
                for run, each in kept
                for budget, ratio in each.budgets.items()
                if ratio is not None
            ),
        )

    def _renew(self, runs: Sequence[RunSummary]) -> None:
        """Look again at the runs whose figures are the oldest: at one at least, at as many as time allows."""
        now, until = self._clock(), self._stopwatch() + PATIENCE_S
        known = {run.run: self._kept[run.run] for run in runs if run.run in self._kept}
        due = [run for run in runs if run.run not in known or not known[run.run].is_fresh(run, now)]
        due.sort(key=lambda run: known[run.run].time if run.run in known else 0.0)
        for run in due:
            body = self._look(run)
            if body is not None:
                known[run.run] = _kept(run, body, now)
            if self._stopwatch() >= until:
                break
        self._kept = known


def _kept(run: RunSummary, body: Mapping[str, Any], now: float) -> Kept:
    lines = (body.get("budget") or {}).get("lines", ())
    return Kept(
        now,
        run.heard,
        body["emissions_g"],
        body["cost"],
        body["currency"],
        {line["name"]: line["ratio"] for line in lines},
    )
