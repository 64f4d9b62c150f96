"""Emissions, cost and budgets on `/metrics`, looked at no more often than has to be."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import msgspec

from trimtab_monitor import metric_names as names
from trimtab_monitor.entries import Registration
from trimtab_monitor.metrics.priced import KEPT_OVER_S, KEPT_S, PATIENCE_S, PricedRuns
from trimtab_monitor.summary import RunSummary


def summary(run: str, heard: float = 0.0) -> RunSummary:
    told = {"run": run, "mode": "off", "status": "running", "reason": "", "last_sample": None, "heard": heard}
    counts = ("created", "attempt", "last_step", "lost_steps", "rollbacks", "samples_dropped", "hook_errors")
    zeros = dict.fromkeys((*counts, "fold_errors", "lost_seconds"), 0)
    empty: dict[str, Any] = {name: {} for name in ("latest", "incidents_open", "incidents_total", "power_w")}
    registration = Registration(project="gpt")
    return msgspec.convert({**told, **zeros, **empty, "energy": [], "registration": registration}, RunSummary)


class Ledgers:
    """What runs have come to; counts how often each was looked at."""

    def __init__(self, **more: Any) -> None:
        self.looks: list[str] = []
        self.body: dict[str, Any] | None = {
            "emissions_g": {"location": 44.18, "market": None},
            "cost": 0.25,
            "currency": "EUR",
            **more,
        }

    def look(self, run: RunSummary) -> Mapping[str, Any] | None:
        self.looks.append(run.run)
        return self.body


class Clock:
    """Tells the time that it is set to."""

    def __init__(self) -> None:
        self.now = 1_000.0

    def __call__(self) -> float:
        return self.now


def values(priced: PricedRuns, runs: Sequence[RunSummary]) -> dict[str, dict[tuple[str, ...], float]]:
    return {
        family.name: {tuple(sample.labels.values()): sample.value for sample in family.samples}
        for family in priced.collect(runs)
    }


def test_what_is_known_is_told() -> None:
    lines = [{"name": "run", "ratio": 0.5}, {"name": "kg", "ratio": None}]
    told = values(PricedRuns(Ledgers(budget={"lines": lines}).look, Clock()), [summary("a")])
    assert told[names.RUN_EMISSIONS_GRAMS] == {("a", "location"): 44.18}
    assert told[names.RUN_COST] == {("a", "EUR"): 0.25}
    assert told[names.RUN_BUDGET_RATIO] == {("a", "run"): 0.5}


def test_what_is_not_known_is_left_out() -> None:
    ledgers = Ledgers(emissions_g={"location": None, "market": 0.0}, cost=None)
    told = values(PricedRuns(ledgers.look, Clock()), [summary("a")])
    assert told[names.RUN_EMISSIONS_GRAMS] == {("a", "market"): 0}
    assert told[names.RUN_COST] == told[names.RUN_BUDGET_RATIO] == {}
    ledgers.body = None
    assert values(PricedRuns(ledgers.look, Clock()), [summary("b")])[names.RUN_EMISSIONS_GRAMS] == {}


def test_a_run_that_goes_on_is_looked_at_once_a_minute() -> None:
    ledgers, clock = Ledgers(), Clock()
    priced = PricedRuns(ledgers.look, clock)
    for heard in (0.0, 1.0, 2.0):
        values(priced, [summary("a", heard)])
        clock.now += KEPT_S / 3
    assert ledgers.looks == ["a"]
    assert values(priced, [summary("a", 3.0)])[names.RUN_COST] == {("a", "EUR"): 0.25}
    assert ledgers.looks == ["a", "a"]


def test_a_run_of_which_nothing_new_was_heard_is_looked_at_rarely() -> None:
    ledgers, clock = Ledgers(), Clock()
    priced = PricedRuns(ledgers.look, clock)
    values(priced, [summary("a")])
    clock.now += KEPT_OVER_S - 1
    values(priced, [summary("a")])
    assert ledgers.looks == ["a"]
    clock.now += 1
    values(priced, [summary("a")])
    assert ledgers.looks == ["a", "a"]


def test_one_scrape_takes_half_a_second_and_the_next_goes_on() -> None:
    ledgers, stopwatch = Ledgers(), Clock()

    def slow(run: RunSummary) -> Mapping[str, Any] | None:
        stopwatch.now += PATIENCE_S / 2
        return ledgers.look(run)

    priced = PricedRuns(slow, Clock(), stopwatch)
    runs = [summary(f"r{i}") for i in range(5)]
    assert [len(values(priced, runs)[names.RUN_COST]) for _ in range(3)] == [2, 4, 5]
    assert sorted(ledgers.looks) == [run.run for run in runs]


def test_a_run_that_is_not_shown_any_more_is_forgotten() -> None:
    ledgers = Ledgers()
    priced = PricedRuns(ledgers.look, Clock())
    values(priced, [summary("a")])
    assert values(priced, [])[names.RUN_COST] == {}
    values(priced, [summary("a")])
    assert ledgers.looks == ["a", "a"]
