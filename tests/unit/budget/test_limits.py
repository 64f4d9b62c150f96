"""What limits a run has, and when there is something to tell of one."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from trimtab_monitor.budget.limits import Quantity, RunBudget, limits_of_run
from trimtab_monitor.budget.lines import line_of
from trimtab_monitor.budget.settings import BudgetSettings
from trimtab_monitor.budget.spending import Spent
from trimtab_monitor.budget.verdict import Told, level_to_tell

OWN = RunBudget(kwh=2.0, cost=30.0, currency="EUR", stop=True)


def test_what_the_owner_sets_goes_before_what_holds_for_every_run() -> None:
    limits = {each.name: each for each in limits_of_run(OWN, RunBudget(kwh=9.0, kg=1.0))}
    assert {name: limit.amount for name, limit in limits.items()} == {"kwh": 2.0, "kg": 1.0, "cost": 30.0}
    assert limits["kwh"].stop
    assert not limits["kg"].stop, "a default never stops a job whose owner did not ask for that"


@pytest.mark.parametrize(
    ("told", "spent", "level"),
    [
        (None, 7.9, None),
        (None, 8.0, 0.8),
        (None, 12.0, 1.0),
        (Told(0.8, 10.0), 9.9, None),
        (Told(0.8, 10.0), 10.0, 1.0),
        (Told(1.0, 10.0), 11.0, None),
        (Told(1.0, 10.0), 7.0, None),
        (Told(1.0, 10.0 / 2), 7.0, 0.0),
        (Told(1.0, 10.0 / 2), 9.0, 0.8),
        (Told(0.8, 10.0 * 2), 10.0, 1.0),
    ],
)
def test_each_level_is_told_once_and_taken_back_only_if_the_budget_is_raised(
    told: Told | None, spent: float, level: float | None
) -> None:
    assert level_to_tell(told, spent, 10.0, warn_at=0.8) == level


def test_what_gaps_may_hide_counts() -> None:
    line = line_of(
        limits_of_run(RunBudget(kwh=10.0), RunBudget())[0], Spent({"kwh": 7.0}, {"kwh": 8.5}), "USD"
    )
    assert (line.spent, line.ratio) == (7.0, 0.85)
    reached = line.reached(None, 0.8, 5.0)
    assert reached is not None
    assert (reached.level, reached.spent, reached.measured, reached.time) == (0.8, 8.5, 7.0, 5.0)
    assert "8.5 of 10 kWh, 7 of it measured" in reached.sentence()


def test_a_limit_in_another_currency_or_of_an_unknown_factor_is_told_and_never_reached() -> None:
    known: dict[Quantity, float | None] = {"cost": 99.0, "kg": None, "kwh": 1.0}
    spent = Spent(known, {**known, "kwh": None})
    limits = limits_of_run(OWN, RunBudget(kg=1.0))
    lines = {line.limit.name: line for line in (line_of(limit, spent, "USD") for limit in limits)}
    assert "EUR" in (lines["cost"].note or "")
    assert "energy.place" in (lines["kg"].note or "")
    assert "no energy" in (lines["kwh"].note or "")
    assert [line.reached(None, 0.8, 0.0) for line in lines.values()] == [None] * 3
    assert {name for name, line in lines.items() if line.out_of_reach} == {"cost", "kg"}


def test_before_any_energy_is_measured_nobody_is_told_to_set_a_price_that_may_be_set() -> None:
    line = line_of(limits_of_run(RunBudget(cost=1.0), RunBudget())[0], Spent({}, {}), "USD")
    assert line.note == "no energy was measured yet"
    assert not line.out_of_reach


@pytest.mark.parametrize("value", [0, -1, float("nan"), float("inf")])
@pytest.mark.parametrize("name", ["kwh", "kg", "cost"])
def test_a_limit_that_is_none_is_refused(name: str, value: float) -> None:
    with pytest.raises(ValidationError):
        BudgetSettings.model_validate({name: value})
    with pytest.raises(ValidationError):
        BudgetSettings.model_validate({"projects": [{"project": "gpt", name: value}]})


def test_a_run_counts_to_its_project_and_to_its_phase_of_it() -> None:
    settings = BudgetSettings.model_validate(
        {"projects": [{"project": "gpt", "kwh": 5}, {"project": "gpt", "phase": "pretraining", "kg": 3}]}
    )
    assert [limit.name for limit in settings.of_project("gpt", "pretraining")] == [
        "kwh of gpt",
        "kg of gpt, pretraining",
    ]
    assert [limit.name for limit in settings.of_project("gpt", "test-time")] == ["kwh of gpt"]
    assert settings.of_project("bert", None) == []


def test_a_project_has_one_budget_of_each_quantity_and_phase() -> None:
    twice = [{"project": "gpt", "kwh": 5}, {"project": "gpt", "kwh": 9, "kg": 1}]
    with pytest.raises(ValidationError, match="kwh of gpt: it is set twice"):
        BudgetSettings.model_validate({"projects": twice})
