"""Folds one batch: readings, rows and events in the order in which they happened."""

from __future__ import annotations

import logging

from trimtab import wire
from trimtab_monitor import rollback
from trimtab_monitor.folding.attempts import enter_attempt, expire_commands
from trimtab_monitor.folding.device_faults import take_fault
from trimtab_monitor.folding.effects import Effects
from trimtab_monitor.folding.events import (
    CheckpointSaved,
    CommandApplied,
    DeviceFault,
    Event,
    HookError,
    Phase,
    ProcessDied,
    RunEnd,
    RunStart,
    SamplesDropped,
    Unreadable,
    read_event,
)
from trimtab_monitor.folding.items import items_of
from trimtab_monitor.folding.latest import remember
from trimtab_monitor.folding.outcomes import close_command
from trimtab_monitor.folding.run_state import RunState
from trimtab_monitor.folding.standstill import first_step, go_on
from trimtab_monitor.folding.telling import Telling
from trimtab_monitor.liveness import LIVE, TRAIN
from trimtab_monitor.settings import Settings
from trimtab_monitor.types import Sample

log = logging.getLogger(__name__)


class BatchFold:
    """Folds a batch that was received at `now`, Unix seconds of the collector's clock."""

    def __init__(
        self, state: RunState, settings: Settings, effects: Effects, telling: Telling, now: float
    ) -> None:
        self._state = state
        self._settings = settings
        self._effects = effects
        self._telling = telling
        self._now = now

    def fold(self, batch: wire.Batch) -> None:
        """Fold it. Of an attempt that is over only readings count, and what the job says of its troubles."""
        self._state.liveness.hear(self._now)
        self._open(batch)
        for device in batch.devices:
            self._state.ledger.add(device)
            self._state.power.add(device)
            self._state.detectors.faulty_device.read(device)
        self._compare_devices(batch)
        for item in items_of(batch):
            if isinstance(item, Sample):
                if batch.attempt >= self._state.attempt:
                    self._sample(item)
            else:
                self._event(item, batch)

    def _open(self, batch: wire.Batch) -> None:
        """A start is told before the readings that come with it: they came after."""
        if batch.attempt < self._state.attempt:
            return
        for raw in batch.events:
            event = read_event(raw) if raw["kind"] == wire.RUN_START else None
            if isinstance(event, RunStart) and event.boot_id is not None:
                self._state.ledger.open(event.boot_id, event.time)

    def _compare_devices(self, batch: wire.Batch) -> None:
        """What the devices show is told as seen at the run's last step.

        While it makes none, one device may well save a checkpoint for all.
        """
        state = self._state
        detector = state.detectors.faulty_device
        trains = state.liveness.is_stepping(self._now, detector.settings.window_s)
        findings = detector.judge(state.last_step, self._now, trains)
        if findings:
            seen = Sample(state.last_step, self._now, {}, state.attempt, batch.rank)
            for incident in state.incidents.observe(
                seen, findings, state.detectors.active, state.detectors.rank
            ):
                self._telling.incident(incident)

    # --- rows ---

    def _sample(self, sample: Sample) -> None:
        state = self._state
        self._enter(sample.attempt, sample.step - 1, None)
        first_step(state, sample)
        state.liveness.step(sample.rank, sample.step, sample.time, self._now)
        state.last_step = max(state.last_step, sample.step)
        state.lead = sample.rank if state.lead is None else min(state.lead, sample.rank)
        if sample.rank == state.lead:
            state.timeline.add(sample.step, sample.time)
            state.effort.step(sample.step, sample.time)
            if sample.step >= state.timeline.steps[-1]:
                state.last_sample = sample.time
            remember(state, sample)
        self._judge(sample)
        ranks = state.registration.world_size
        spread = state.losses.add(sample, ranks)
        if spread is not None:
            remember(state, spread)
        for whole in state.shards.add(sample, ranks):
            remember(state, whole)
            self._judge(whole)

    def _judge(self, sample: Sample) -> None:
        """Detectors, incidents, policy: in this order, and nothing of a sample is left out."""
        state = self._state
        findings = state.detectors.update(sample)
        lead = state.detectors.rank
        changed = state.incidents.observe(sample, findings, state.detectors.active, lead)
        noted = len(state.rollback.noted)
        open_ = state.incidents.open
        command = rollback.advance(self._settings.rollback, state.rollback, open_, changed, sample, lead)
        if command is not None:
            self._command(command)
        for incident in changed:
            self._telling.incident(incident)
        if command is not None or len(state.rollback.noted) != noted:
            for incident in open_:
                self._telling.incident(incident)

    def _command(self, command: wire.Command) -> None:
        self._effects.commands[command.id] = command
        if command.state == "pending":
            self._state.commands[command.id] = command

    # --- events ---

    def _event(self, event: Event, batch: wire.Batch) -> None:
        tallies = self._state.tallies
        match event:
            case SamplesDropped(count=count):
                tallies.samples_dropped += count
            case HookError(count=count):
                tallies.hook_errors += count
            case CommandApplied():
                self._applied(event, batch.attempt)
            case DeviceFault():
                self._fault(event, batch.rank)
            case Unreadable(why=why):
                tallies.unreadable_events += 1
                log.warning(
                    "run %s: an event of rank %d is passed over: %s", self._state.run, batch.rank, why
                )
            case _ if batch.attempt >= self._state.attempt:
                self._present_event(event, batch)

    def _fault(self, event: DeviceFault, rank: int) -> None:
        incident = take_fault(self._state, event, rank, self._now) if self._state.status in LIVE else None
        if incident is not None:
            self._telling.incident(incident)

    def _present_event(self, event: Event, batch: wire.Batch) -> None:
        state = self._state
        match event:
            case RunStart():
                self._start(event, batch)
            case Phase(phase=phase) if batch.rank == (state.lead or 0):
                state.liveness.enter(phase, self._now)
                state.ledger.enter(phase, event.time)
            case CheckpointSaved():
                if batch.rank == (state.lead or 0):
                    if event.where == "disk":
                        state.budgets.on_checkpoint(state.attempt)
                    may_serve = event.finite is not False
                    state.rollback.on_checkpoint(event.step, event.id, may_serve, event.time, event.where)
            case RunEnd(status=status, reason=reason):
                state.liveness.ended(batch.rank, status, reason or "", event.time, self._now)
                state.ledger.close(event.time)
                if batch.rank == (state.lead or 0):
                    state.ledger.enter(TRAIN, event.time)
                go_on(state, event.time)
            case ProcessDied(pid=pid, host=host):
                state.liveness.died(batch.rank, pid, host, event.time, self._now)
                go_on(state, event.time)

    def _start(self, event: RunStart, batch: wire.Batch) -> None:
        state = self._state
        if state.began is None and state.last_sample is None:
            state.began = event.time
        step = event.step or 0
        entered = self._enter(batch.attempt, step, event.time)
        if batch.attempt > state.started:
            state.started = batch.attempt
            state.rollback.on_start(event.rollback, batch.attempt)
            self._effects.told = True
        if not state.timeline.steps:
            state.timeline.add(step, event.time)
        if entered or batch.rank in state.liveness.ended_ranks:
            state.liveness.start(self._now)
            state.ledger.enter(TRAIN, event.time)

    def _applied(self, event: CommandApplied, attempt: int) -> None:
        """The job's answer to a command, sent in `attempt`; every rank gives one, the first counts."""
        command = self._state.commands.get(event.command)
        if command is not None:
            close_command(self._state, self._effects, command, event.outcome)
        to_step = _restored_step(event, command)
        new_attempt = attempt if event.new_attempt is None else event.new_attempt
        if to_step is not None:
            self._enter_at(new_attempt, to_step, event.time)
        if command is not None:
            self._answered(command, event, to_step, max(new_attempt, self._state.attempt))

    def _answered(
        self, command: wire.Command, event: CommandApplied, to_step: int | None, attempt: int
    ) -> None:
        state = self._state
        if to_step is None:
            state.rollback.on_applied(command.id, event.outcome, None, attempt)
            return
        if event.new_attempt is None:
            attempt = max(attempt, command.attempt + 1)  # the next rows come in it
        state.rollback.on_applied(command.id, event.outcome, to_step, attempt)
        for incident in state.incidents.rolled_back(command.id, to_step, event.time):
            self._telling.incident(incident)

    def _enter_at(self, attempt: int, to_step: int, time: float) -> None:
        if enter_attempt(self._state, attempt, to_step, left_at=time, resumed_at=time, by_command=True):
            expire_commands(self._state, self._effects)

    def _enter(self, attempt: int, to_step: int, resumed_at: float | None) -> bool:
        """The first that is heard of an attempt: the one before ended with its last step."""
        entered = enter_attempt(self._state, attempt, to_step, self._state.last_sample, resumed_at)
        if entered:
            expire_commands(self._state, self._effects)
        return entered


def _restored_step(event: CommandApplied, command: wire.Command | None) -> int | None:
    """The step that the run went back to, none if it did not."""
    if event.outcome != "applied":
        return None
    if event.to_step is None and command is not None and command.kind == "rollback":
        return command.to_step
    return event.to_step
