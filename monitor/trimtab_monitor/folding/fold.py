"""The fold: one entry of the log, and what it makes of a run.

Everything that the collector knows or does follows from here. It is deterministic: no clock, no store, no
socket; time comes with the entries. So a restart, a replay and a test with a list of entries all decide the
same.

    batch   what was heard ─▶ liveness        devices ─▶ ledger
            rows in order  ─▶ detectors ─▶ findings ─▶ incidents ─▶ rollback policy ─▶ commands
                                                           └▶ alerts ─▶ deliveries
            events         ─▶ attempts, checkpoints, answers to commands, phases, ends
    tick    time passed    ─▶ liveness ─▶ hung, failed ─▶ incidents ─▶ alerts ─▶ deliveries
"""

from __future__ import annotations

import msgspec

from trimtab import wire
from trimtab_monitor.entries import (
    AlertAcked,
    BatchReceived,
    BudgetReached,
    CollectorStarted,
    CommandPosted,
    DevicesHeld,
    Entry,
    Registered,
    Tick,
)
from trimtab_monitor.folding.budgets import ask_to_stop, take_level
from trimtab_monitor.folding.effects import Effects
from trimtab_monitor.folding.fold_batch import BatchFold
from trimtab_monitor.folding.outcomes import close_command
from trimtab_monitor.folding.run_state import RunState
from trimtab_monitor.folding.standstill import go_on, stand_still
from trimtab_monitor.folding.telling import Telling
from trimtab_monitor.hang import where_to_look
from trimtab_monitor.liveness import LIVE, Verdict, judge
from trimtab_monitor.settings import Settings


def fold(state: RunState, entry: Entry, settings: Settings) -> Effects:
    """Fold one entry into the state of its run; returns what it did beyond that."""
    effects = Effects()
    telling = Telling(state, effects, settings.alerts, entry.time)
    match entry:
        case Registered(registration=registration):
            state.registration = registration
            effects.told = True
        case BatchReceived(batch=batch):
            BatchFold(state, settings, effects, telling, entry.time).fold(batch)
            _settle(state, settings, effects, telling, entry.time)
            ask_to_stop(state, effects, entry.time)
        case Tick():
            _settle(state, settings, effects, telling, entry.time)
        case BudgetReached(reached=reached):
            take_level(state, effects, telling, reached, entry.time)
            ask_to_stop(state, effects, entry.time)
        case CollectorStarted():
            state.liveness.collector_started(entry.time)
        case CommandPosted(command=command):
            _post(state, effects, command)
        case AlertAcked(alert=alert):
            telling.ack(alert)
        case DevicesHeld(run=run, holdings=holdings):
            for each in holdings:
                state.ledger.hold(run, each.by, each.device, each.from_us, each.until_us)
    return effects


def _post(state: RunState, effects: Effects, command: wire.Command) -> None:
    """A command of people: it waits for the job, unless the attempt that it is meant for is over."""
    is_over = command.attempt < state.attempt or state.status not in LIVE
    if is_over:
        command = msgspec.structs.replace(command, state="expired")
    else:
        state.commands[command.id] = command
    effects.commands[command.id] = command


def _settle(state: RunState, settings: Settings, effects: Effects, telling: Telling, now: float) -> None:
    """Judge whether the run is alive, and tell of a change."""
    ranks = max(state.registration.world_size or 1, len(state.liveness.last_steps))
    verdict = judge(state.liveness, settings.liveness, now, ranks if state.status in LIVE else 0)
    if verdict.status == state.status:
        _name_the_cause(state, effects, telling, verdict, now)
        return
    state.status, state.reason = verdict.status, verdict.reason
    effects.told = True
    if verdict.status == "hung":
        stand_still(state, "hang", state.last_sample)
    elif verdict.status not in LIVE:
        go_on(state, state.liveness.heard)
    if state.marked is not None:
        telling.incident(state.incidents.resolve(state.marked, state.last_step, now))
        state.marked = None
    if verdict.status in ("hung", "failed"):
        _mark(state, telling, verdict, now)
    if verdict.status == "finished":
        # Nobody can act on a run that is over: what is open would page for ever.
        for incident in state.incidents.open:
            telling.incident(state.incidents.resolve(incident.id, state.last_step, now))
    if verdict.status not in LIVE:
        _end(state, effects)


def _name_the_cause(
    state: RunState, effects: Effects, telling: Telling, verdict: Verdict, now: float
) -> None:
    """Tell of a failure anew where another rank turns out to have failed first."""
    if state.liveness.failure is not None and state.marked is not None and verdict.reason != state.reason:
        state.reason = verdict.reason
        effects.told = True
        _mark(state, telling, verdict, now)


def _mark(state: RunState, telling: Telling, verdict: Verdict, now: float) -> None:
    summary = f"run {verdict.status} at step {state.last_step}: {verdict.reason}"
    evidence = {"reason": verdict.reason, "heard": state.liveness.heard, "phase": state.liveness.phase}
    if verdict.status == "hung":
        gauges = state.detectors.faulty_device.gauges.devices.values()
        where, seen = where_to_look(state.liveness, state.registration.world_size, gauges)
        summary += f"; {where}" if where else ""
        evidence |= seen
    incident = state.incidents.open_special(
        verdict.status, "critical", state.last_step, now, summary, evidence
    )
    state.marked = incident.id
    telling.incident(incident)


def _end(state: RunState, effects: Effects) -> None:
    state.power.clear()
    for command in list(state.commands.values()):
        close_command(state, effects, command, "expired")
