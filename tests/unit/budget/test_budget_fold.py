"""What a budget that is reached makes of a run: one incident, one alert, and a stop for who wants one."""

from __future__ import annotations

from typing import Any

from trimtab import wire
from trimtab_alerts.settings import AlertSettings, WebhookSettings
from trimtab_monitor.budget.limits import RunBudget
from trimtab_monitor.budget.verdict import Reached
from trimtab_monitor.entries import (
    BatchReceived,
    BudgetReached,
    Record,
    Registered,
    Registration,
    draft_of,
    entry_of,
)
from trimtab_monitor.folding.effects import Effects
from trimtab_monitor.folding.fold import fold
from trimtab_monitor.folding.run_state import RunState, new_run, pack, summarise, unpack
from trimtab_monitor.settings import Settings

NOW = 1_700_001_000.0
SETTINGS = Settings(alerts=AlertSettings(webhooks=(WebhookSettings(name="hook", url="http://hook"),)))  # type: ignore[arg-type]


def new() -> RunState:
    state = new_run("run", NOW, Registration(project="gpt", budget=RunBudget(kwh=5.0, stop=True)), SETTINGS)
    tell(state, {"kind": "run_start", "step": 0})
    return state


def tell(state: RunState, event: dict[str, Any], attempt: int = 0) -> Effects:
    batch = wire.Batch(rank=0, seq=0, attempt=attempt, events=[{"time": NOW, **event}])
    return fold(state, BatchReceived(NOW, "run", batch), SETTINGS)


def saved(state: RunState, where: str = "disk", attempt: int = 0) -> Effects:
    event = {"kind": "checkpoint_saved", "step": 10, "where": where, "checkpoint": "c"}
    return tell(state, event, attempt)


def reach(
    state: RunState, level: float, *, stop: bool = False, name: str = "kwh", limit: float = 5.0
) -> Effects:
    spent = limit * (level or 0.5)
    reached = Reached(name=name, unit="kWh", level=level, spent=spent, limit=limit, time=NOW, stop=stop)
    return fold(state, BudgetReached(NOW, "run", reached), SETTINGS)


def test_an_entry_is_read_from_the_log_as_it_was_written() -> None:
    entry = BudgetReached(
        NOW, "run", Reached(name="kwh", unit="kWh", level=1.0, spent=5.0, limit=5.0, time=NOW, stop=True)
    )
    draft = draft_of(entry)
    assert entry_of(Record(1, draft.kind, draft.received, draft.run, draft.body)) == entry
    registered = Registered(NOW, "run", Registration(project="gpt", budget=RunBudget(kg=1.0)))
    draft = draft_of(registered)
    assert entry_of(Record(1, draft.kind, draft.received, draft.run, draft.body)) == registered


def test_a_warning_and_then_a_critical_alert_of_one_incident() -> None:
    state = new()
    first, second = reach(state, 0.8), reach(state, 1.0)
    (warning,), (critical,) = first.alerts.values(), second.alerts.values()
    assert (warning.severity, critical.severity) == ("warning", "critical")
    assert warning.id == critical.id
    assert "80 % of the budget is used: 4 of 5 kWh" in warning.summary
    assert "the budget is used up: 5 of 5 kWh" in critical.summary
    for effects in (first, second):
        assert [each.destination for each in effects.deliveries].count("hook") == 1
    assert not reach(state, 1.0), "what was noticed twice is told once"
    assert summarise(state).budgets["kwh"].level == 1.0


def test_it_is_told_once_over_a_restart_of_the_collector() -> None:
    state = new()
    reach(state, 0.8)
    again = unpack(pack(state))
    assert not reach(again, 0.8)
    assert reach(again, 1.0).alerts


def test_each_budget_has_an_incident_of_its_own() -> None:
    state = new()
    reach(state, 0.8)
    reach(state, 1.0, name="kwh of gpt, pretraining", limit=50.0)
    assert {(each.metric, each.severity) for each in state.incidents.open} == {
        ("kwh", "warning"),
        ("kwh of gpt, pretraining", "critical"),
    }


def test_a_job_that_never_told_of_a_checkpoint_is_asked_to_stop_at_once() -> None:
    state = new()
    (command,) = reach(state, 1.0, stop=True).commands.values()
    assert (command.kind, command.state, command.attempt, command.budget) == ("stop", "pending", 0, "kwh")
    assert command.incident == state.incidents.open[0].id
    assert list(state.commands) == [command.id]


def test_else_at_the_next_checkpoint_on_disk_and_once_in_an_attempt() -> None:
    state = new()
    saved(state)
    assert not reach(state, 1.0, stop=True).commands
    assert not saved(state, where="memory").commands
    (command,) = saved(state).commands.values()
    assert command.kind == "stop"
    assert not saved(state).commands
    tell(state, {"kind": "run_start", "step": 10}, attempt=1)
    assert not state.commands, "what was decided on an attempt that is over is never obeyed"
    (again,) = saved(state, attempt=1).commands.values()
    assert (again.attempt, again.id != command.id) == (1, True)


def test_no_job_is_stopped_whose_owner_did_not_ask() -> None:
    state = new()
    saved(state)
    effects = reach(state, 1.0)
    assert not effects.commands
    assert not saved(state).commands


def test_a_budget_that_is_raised_ends_the_alert_and_calls_the_job_back() -> None:
    state = new()
    reach(state, 1.0, stop=True)
    effects = reach(state, 0.0, stop=True, limit=20.0)
    (alert,) = effects.alerts.values()
    assert alert.state == "resolved"
    assert [each.state for each in effects.commands.values()] == ["expired"]
    assert not state.incidents.open
    assert reach(state, 0.8, stop=True, limit=20.0).alerts
    assert not saved(state).commands


def test_a_run_that_ended_over_its_budget_is_told_and_leaves_nothing_open() -> None:
    state = new()
    tell(state, {"kind": "run_end", "status": "finished"})
    effects = reach(state, 1.0, stop=True)
    (alert,) = effects.alerts.values()
    assert (alert.severity, alert.state) == ("critical", "resolved")
    assert "asked to stop" not in alert.summary
    assert [each.destination for each in effects.deliveries].count("hook") == 2, "firing, then resolved"
    assert not state.incidents.open
    assert not effects.commands
    assert not reach(state, 1.0, stop=True)
    assert summarise(state).budgets["kwh"].level == 1.0
