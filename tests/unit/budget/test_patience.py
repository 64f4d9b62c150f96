"""A run is looked at again as soon as it may have come to a new level, and seldom before."""

from __future__ import annotations

from dataclasses import dataclass, field

import msgspec
import pytest

from trimtab_monitor.budget.limits import RunBudget, limits_of_run
from trimtab_monitor.budget.lines import line_of
from trimtab_monitor.budget.patience import PATIENCE_S, Patience
from trimtab_monitor.budget.spending import Spent
from trimtab_monitor.entries import Registration
from trimtab_monitor.folding.run_state import new_run, summarise
from trimtab_monitor.settings import Settings
from trimtab_monitor.summary import EnergyLine, RunSummary

NOW = 1_700_000_000.0


def run(joules: float | None, kwh: float = 10.0) -> RunSummary:
    registration = Registration(project="gpt", budget=RunBudget(kwh=kwh))
    told = summarise(new_run("run", NOW, registration, Settings()))
    line = EnergyLine(component="gpu", method="counter", joules=joules, gap_seconds=0.0, summed=True)
    return msgspec.structs.replace(told, energy=[line])


@dataclass
class Looked:
    """A look at a run that had used `kwh` of 10."""

    kwh: float
    patience: Patience = field(default_factory=lambda: Patience(0.8))

    def __post_init__(self) -> None:
        limits = limits_of_run(RunBudget(kwh=10.0), RunBudget())
        lines = [line_of(limit, Spent({"kwh": self.kwh}, {"kwh": self.kwh}), "USD") for limit in limits]
        self.patience.looked_at(run(self.kwh * 3.6e6), lines, NOW)

    def may_wait(self, kwh: float, later: float = 1.0) -> bool:
        return self.patience.may_wait(run(kwh * 3.6e6), NOW + later)


@pytest.mark.parametrize(("kwh", "waits", "looks"), [(4.0, 5.9, 6.1), (8.5, 9.2, 9.3), (12.0, 50.0, None)])
def test_it_waits_for_half_the_way_to_the_next_level(kwh: float, waits: float, looks: float | None) -> None:
    looked = Looked(kwh)
    assert looked.may_wait(waits)
    assert looks is None or not looked.may_wait(looks)


def test_it_waits_only_so_long_and_not_where_anything_else_changed() -> None:
    looked = Looked(4.0)
    assert not looked.may_wait(4.0, later=PATIENCE_S)
    assert not looked.patience.may_wait(run(4.0 * 3.6e6, kwh=5.0), NOW), "another budget"
    over = msgspec.structs.replace(run(4.0 * 3.6e6), status="finished")
    assert not looked.patience.may_wait(over, NOW)
    assert not looked.patience.may_wait(run(None), NOW)
    assert not Patience(0.8).may_wait(run(1.0), NOW), "it was never looked at"


def test_who_is_gone_is_forgotten() -> None:
    looked = Looked(4.0)
    looked.patience.forget_others([])
    assert not looked.may_wait(4.0)
