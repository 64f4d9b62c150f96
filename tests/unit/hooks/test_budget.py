"""A budget is checked where it is set, and lets the collector stop the job only if its owner says so."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

import trimtab
from trimtab.asked import Asked, Watched
from trimtab.identity import Place
from trimtab.rewind.commands import CommandDesk, Mode, refusal
from trimtab.rewind.orders import Order
from trimtab.rewind.rewind import Outcome
from trimtab.vocabulary import Command

STOP = Command(id="c", kind="stop", budget="kwh")


class Unused:
    def apply(self, command: Command, step: int) -> Outcome:
        raise AssertionError(command)


def asked(**changes: Any) -> Asked:
    return Asked("p", None, "off", None, None, None, Watched(None, None, None, None), **changes)


@pytest.mark.parametrize("name", ["kwh", "kg", "cost"])
@pytest.mark.parametrize("value", [0, -1.0, float("nan"), float("inf"), True, "5", [5], 10**400])
def test_a_limit_that_is_none_is_told(name: str, value: object) -> None:
    with pytest.raises(ValueError, match=rf"^budget\.{name}: .*give a number above 0"):
        trimtab.Budget(**{name: value})  # type: ignore[arg-type]


def test_a_budget_without_a_limit_is_a_mistake() -> None:
    with pytest.raises(ValueError, match=r"^budget: no limit: give one or more of kwh, kg, cost"):
        trimtab.Budget(stop=True)


@pytest.mark.parametrize(("name", "value"), [("currency", "euro"), ("currency", 3), ("stop", 1)])
def test_what_else_a_budget_says_is_checked(name: str, value: object) -> None:
    with pytest.raises(ValueError, match=rf"^budget\.{name}: .*give"):
        trimtab.Budget(kwh=1, **{name: value})  # type: ignore[arg-type]


def test_a_run_is_registered_with_its_budget_and_its_phase() -> None:
    budget = trimtab.Budget(kwh=np.float32(5), cost=3, currency="EUR", stop=True)  # type: ignore[arg-type]
    body = asked(budget=budget, phase="post-training").registration(Place())
    assert body["budget"] == {"kwh": 5.0, "cost": 3.0, "currency": "EUR", "stop": True}
    assert body["phase"] == "post-training"
    assert not {"budget", "phase"} & set(asked().registration(Place()))


@pytest.mark.parametrize(("name", "value"), [("budget", {"kwh": 5}), ("phase", "training")])
def test_what_is_no_budget_or_phase_is_told(name: str, value: object) -> None:
    with pytest.raises(ValueError, match=rf"^{name}: .*None"):
        asked(**{name: value})


@pytest.mark.parametrize("mode", ["off", "advise", "auto"])
def test_an_owner_who_says_so_is_stopped_at_the_budget_whatever_the_mode(mode: Mode) -> None:
    desk = CommandDesk(mode, Unused(), stops_at_budget=True)
    desk.put([STOP])
    assert desk.act(desk.waiting[0], 9, 0).applied
    assert "attempt 0" in desk.act(Order(STOP), 9, 1).detail


@pytest.mark.parametrize(
    "command", [Command(id="by-hand", kind="stop"), Command(id="r", kind="rollback", budget="kwh")]
)
def test_a_budget_lets_nothing_else_be_done(command: Command) -> None:
    assert "rollback='off'" in (refusal(command, "off", 0, stops_at_budget=True) or "")


def test_without_a_budget_that_stops_the_job_goes_on() -> None:
    desk = CommandDesk("advise", Unused(), stops_at_budget=asked(budget=trimtab.Budget(kg=1)).stops_at_budget)
    assert not desk.act(Order(STOP), 9, 0).applied


def test_ranks_agree_on_a_stop_only_where_it_may_be_obeyed() -> None:
    agreed: list[str] = []
    for stops in (True, False):
        desk = CommandDesk("off", Unused(), lambda each: agreed.append(each.id), stops)
        desk.put([STOP])
        assert len(desk.waiting) == (0 if stops else 1)
    assert agreed == ["c"]
