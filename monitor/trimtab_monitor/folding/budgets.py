"""A budget has come to a level: an incident, and for an owner who wants it a command to stop."""

from __future__ import annotations

from typing import Final

from trimtab.wire import Command
from trimtab_monitor.budget.verdict import CALM, USED_UP, Reached
from trimtab_monitor.folding.effects import Effects
from trimtab_monitor.folding.outcomes import close_command
from trimtab_monitor.folding.run_state import RunState
from trimtab_monitor.folding.telling import Telling
from trimtab_monitor.liveness import LIVE
from trimtab_monitor.types import Incident, Severity

KIND: Final = "budget"


def take_level(state: RunState, effects: Effects, telling: Telling, reached: Reached, now: float) -> None:
    """Tell of a budget's new level; one that was raised ends what was told of it before."""
    if state.budgets.knows(reached):
        return  # noticed twice before it was folded once
    before = state.budgets.on_reached(reached)
    effects.told = True
    if before is not None and reached.level < before.level:
        _take_back(state, effects, telling, reached, now)
    if reached.level <= CALM:
        return
    incident = _incident(state, reached, now)
    telling.incident(incident)
    if state.status == "finished":  # people are told, and nothing stays open that would page for ever
        telling.incident(state.incidents.resolve(incident.id, state.last_step, now))


def ask_to_stop(state: RunState, effects: Effects, now: float) -> None:
    """Ask the job to stop, if its owner wants that and the moment has come."""
    if state.status not in LIVE:
        return
    reached = state.budgets.stop_due(state.attempt)
    if reached is None:
        return
    command = Command(
        id=f"{state.run}.budget.{state.budgets.asked}",
        kind="stop",
        attempt=state.attempt,
        reason=reached.sentence(),
        incident=_open_incident(state, reached.name),
        budget=reached.name,
        time=now,
    )
    state.commands[command.id] = command
    effects.commands[command.id] = command


def _take_back(state: RunState, effects: Effects, telling: Telling, reached: Reached, now: float) -> None:
    incident = _open_incident(state, reached.name)
    if incident is not None:
        telling.incident(state.incidents.resolve(incident, state.last_step, now))
    for command in list(state.commands.values()):
        if command.budget == reached.name:
            close_command(state, effects, command, "expired")


def _incident(state: RunState, reached: Reached, now: float) -> Incident:
    evidence = {"spent": reached.spent, "limit": reached.limit, "unit": reached.unit, "stop": reached.stop}
    if reached.measured is not None:
        evidence["measured"] = reached.measured
    severity: Severity = "critical" if reached.level >= USED_UP else "warning"
    summary = reached.sentence()
    if reached.stop and reached.level >= USED_UP and state.status in LIVE:
        summary += "; the job is asked to stop at its next checkpoint"
    return state.incidents.open_special(
        KIND, severity, state.last_step, now, summary, evidence, metric=reached.name
    )


def _open_incident(state: RunState, name: str) -> str | None:
    known = (each.id for each in state.incidents.open if each.kind == KIND and each.metric == name)
    return next(known, None)
