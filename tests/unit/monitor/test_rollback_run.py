"""Detectors, incidents and policy together, on a toy run that obeys commands one step late.

The run's data stream goes on when the run goes back: batch numbers never repeat, step numbers do.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable
from dataclasses import dataclass, field

import pytest

from trimtab import wire
from trimtab_monitor.detectors import DetectorSet
from trimtab_monitor.incidents import IncidentBook
from trimtab_monitor.rollback import RollbackSettings, advance
from trimtab_monitor.rollback_state import RollbackState
from trimtab_monitor.types import Incident, Sample

SNAPSHOT_STEPS = 10
SNAPSHOTS_KEPT = 4
FAULT_BATCH = 150


@dataclass
class ToyRun:
    """Weights are one number, how broken they are; a fault breaks them, and a rollback mends them."""

    fault: Callable[[int], tuple[float, float]]
    """Batch number to (what the batch itself adds to the loss, what its update adds to `broken`)."""

    mode: str = "auto"
    step: int = 0
    batch: int = 0
    attempt: int = 0
    broken: float = 0.0
    stopped: bool = False
    snapshots: dict[int, float] = field(default_factory=dict)
    waiting: wire.Command | None = None
    commands: list[wire.Command] = field(default_factory=list)
    incidents: dict[str, Incident] = field(default_factory=dict)
    noise: random.Random = field(default_factory=lambda: random.Random(3))
    detectors: DetectorSet = field(default_factory=DetectorSet)
    book: IncidentBook = field(default_factory=lambda: IncidentBook("toy"))
    policy: RollbackState = field(default_factory=lambda: RollbackState("toy"))

    def __post_init__(self) -> None:
        self.policy.on_start(self.mode, 0)

    def train(self, batches: int) -> None:
        for _ in range(batches):
            if not self.stopped:
                self._train_one()

    def _train_one(self) -> None:
        self.step += 1
        self.batch += 1
        in_loss, in_update = self.fault(self.batch)
        usual = 2.0 + 3.5 * math.exp(-self.step / 40)
        values = {
            "loss": (usual + in_loss + self.broken) * math.exp(self.noise.gauss(0, 0.03)),
            "grad_norm": (0.3 + in_loss + self.broken) * self.noise.lognormvariate(0, 0.25),
            "lr": 3e-2 if in_update else 1e-3,
        }
        self.broken = 0.8 * self.broken + in_update + 0.3 * in_loss
        late, self.waiting = self.waiting, None
        self._report(Sample(self.step, float(self.batch), values, self.attempt))
        if late is not None:
            self._obey(late)
        elif self.step % SNAPSHOT_STEPS == 0:
            self._save()

    def _report(self, sample: Sample) -> None:
        changed = self.book.observe(sample, self.detectors.update(sample), self.detectors.active)
        self.incidents |= {incident.id: incident for incident in changed}
        command = advance(RollbackSettings(), self.policy, self.book.open, changed, sample)
        if command is not None:
            self.commands.append(command)
            if command.state == "pending":
                self.waiting = command

    def _save(self) -> None:
        self.snapshots[self.step] = self.broken
        for step in sorted(self.snapshots)[:-SNAPSHOTS_KEPT]:
            del self.snapshots[step]
        self.policy.on_checkpoint(self.step, f"s{self.step}", math.isfinite(self.broken), float(self.batch))

    def _obey(self, command: wire.Command) -> None:
        if command.to_step is None:
            self.stopped = True
            return
        self.broken = self.snapshots[command.to_step]
        self.snapshots = {step: kept for step, kept in self.snapshots.items() if step <= command.to_step}
        self.step = command.to_step
        self.attempt += 1
        self.policy.on_applied(command.id, "applied", command.to_step, self.attempt)
        self.book.rolled_back(command.id, command.to_step, float(self.batch))
        self.detectors.rewind(command.to_step)


def corrupt_data(batch: int) -> tuple[float, float]:
    return (5.0, 0.0) if FAULT_BATCH <= batch < FAULT_BATCH + 8 else (0.0, 0.0)


def learning_rate(batch: int) -> tuple[float, float]:
    return (0.0, 1.2) if FAULT_BATCH <= batch < FAULT_BATCH + 10 else (0.0, 0.0)


def nan_data(batch: int) -> tuple[float, float]:
    return (math.nan, 0.0) if FAULT_BATCH <= batch < FAULT_BATCH + 8 else (0.0, 0.0)


def one_bad_batch(batch: int) -> tuple[float, float]:
    return (5.0, -1.5) if batch == FAULT_BATCH else (0.0, 0.0)


def hopeless(batch: int) -> tuple[float, float]:
    return (5.0, 0.0) if batch >= FAULT_BATCH else (0.0, 0.0)


def no_fault(batch: int) -> tuple[float, float]:
    del batch
    return 0.0, 0.0


@pytest.mark.parametrize(
    ("fault", "first_bad", "delay", "targets"),
    [
        (corrupt_data, FAULT_BATCH, 0, {140}),
        (learning_rate, FAULT_BATCH + 1, 2, {140}),
        (nan_data, FAULT_BATCH, 0, {140, 130}),
    ],
)
def test_a_run_outlives_a_fault_within_the_default_budget(
    fault: Callable[[int], tuple[float, float]], first_bad: int, delay: int, targets: set[int]
) -> None:
    run = ToyRun(fault)
    run.train(200)
    (incident,) = run.incidents.values()
    assert (incident.severity, incident.state) == ("critical", "resolved")
    assert first_bad <= incident.detected_step <= first_bad + delay
    assert 2 <= len(run.commands) <= 5
    assert {(command.kind, command.lr_factor) for command in run.commands} == {("rollback", 1.0)}
    assert {command.to_step for command in run.commands} == targets
    assert run.policy.pending is None
    assert run.broken < 0.01
    assert run.step == 200 - (run.batch - run.step)
    assert all(checkpoint.trusted for checkpoint in run.policy.checkpoints)


def test_one_bad_batch_is_not_rolled_back() -> None:
    run = ToyRun(one_bad_batch)
    run.train(200)
    (incident,) = run.incidents.values()
    assert (incident.severity, incident.state, incident.end_step) == ("critical", "resolved", FAULT_BATCH)
    assert run.commands == []


def test_a_run_that_nothing_helps_is_stopped_and_its_incident_stays_open() -> None:
    run = ToyRun(hopeless)
    run.train(300)
    assert run.stopped
    assert [command.kind for command in run.commands] == ["rollback"] * 8 + ["stop"]
    assert [command.lr_factor for command in run.commands] == [1.0] * 6 + [0.5] * 2 + [1.0]
    assert [incident.severity for incident in run.book.open] == ["critical"]
    assert len({command.id for command in run.commands}) == 9


def test_a_clean_run_has_no_incident() -> None:
    run = ToyRun(no_fault)
    run.train(600)
    assert (run.incidents, run.commands) == ({}, [])


def test_two_faults_are_two_incidents() -> None:
    def both(batch: int) -> tuple[float, float]:
        return learning_rate(batch - 80) if batch > 200 else corrupt_data(batch)

    run = ToyRun(both)
    run.train(300)
    assert [incident.state for incident in run.incidents.values()] == ["resolved", "resolved"]
    assert len({command.incident for command in run.commands}) == 2
    assert run.broken < 0.01


def test_where_people_decide_the_run_goes_on_and_each_incident_is_advised_once() -> None:
    run = ToyRun(corrupt_data, mode="advise")
    run.train(250)
    assert [command.state for command in run.commands] == ["advised"]
    assert run.attempt == 0
