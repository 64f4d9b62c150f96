"""Everything that the fold knows of a run. It serialises whole, and goes on from where it was."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

import msgspec

from trimtab.wire import Command
from trimtab_alerts.alert import AlertBook
from trimtab_monitor.budget.book import BudgetBook
from trimtab_monitor.detectors import DetectorSet
from trimtab_monitor.entries import Registration
from trimtab_monitor.folding.effort import Effort
from trimtab_monitor.folding.energy_now import energy_lines, lost_joules, meters
from trimtab_monitor.folding.power_now import PowerNow
from trimtab_monitor.folding.rank_losses import RankLosses
from trimtab_monitor.folding.shards import ShardSums
from trimtab_monitor.folding.timeline import Timeline
from trimtab_monitor.incidents import IncidentBook
from trimtab_monitor.ledger.ledger import EnergyLedger
from trimtab_monitor.ledger.lost_work import Standstill
from trimtab_monitor.liveness import Liveness, Status
from trimtab_monitor.rollback_state import RollbackState
from trimtab_monitor.settings import Settings
from trimtab_monitor.summary import RunSummary
from trimtab_monitor.types import Incident


@dataclass(slots=True)
class Tallies:
    """What was counted of a run."""

    samples_dropped: int = 0
    hook_errors: int = 0
    fold_errors: int = 0
    unreadable_events: int = 0


@dataclass(slots=True)
class RunState:
    """One run.

    `commands` holds those that wait for the job, `unanswered` the incidents by command that were
    over before the job answered, `severities` the open incidents' by id, `marked` the id of
    the open incident that tells of its status. `attempt` is the newest heard of, `started` the newest whose
    process told of its start, `began` when the first of all did, by the job's clock, `lead` the lowest rank
    that sends rows: its numbers are the run's. `latest` holds the last value of each metric, `latest_steps`
    of which step of this attempt it is, and `metrics_left_out` the most metrics of one row of which it is
    not remembered.
    """

    run: str
    created: float
    registration: Registration
    detectors: DetectorSet
    incidents: IncidentBook
    rollback: RollbackState
    ledger: EnergyLedger
    alerts: AlertBook
    liveness: Liveness
    timeline: Timeline = field(default_factory=Timeline)
    effort: Effort = field(default_factory=Effort)
    standstill: Standstill | None = None
    shards: ShardSums = field(default_factory=ShardSums)
    losses: RankLosses = field(default_factory=RankLosses)
    power: PowerNow = field(default_factory=PowerNow)
    tallies: Tallies = field(default_factory=Tallies)
    budgets: BudgetBook = field(default_factory=BudgetBook)
    commands: dict[str, Command] = field(default_factory=dict)
    unanswered: dict[str, Incident] = field(default_factory=dict)
    severities: dict[str, str] = field(default_factory=dict)
    incidents_total: dict[str, int] = field(default_factory=dict)
    status: Status = "running"
    reason: str = ""
    marked: str | None = None
    attempt: int = 0
    started: int = -1
    began: float | None = None
    lead: int | None = None
    last_step: int = 0
    last_sample: float | None = None
    latest: dict[str, float] = field(default_factory=dict)
    latest_steps: dict[str, int] = field(default_factory=dict)
    metrics_left_out: int = 0


def new_run(run: str, created: float, registration: Registration, settings: Settings) -> RunState:
    """The state of a run of which nothing was heard yet."""
    return RunState(
        run=run,
        created=created,
        registration=registration,
        detectors=DetectorSet.build(settings.detectors),
        incidents=IncidentBook(run, settings.incidents),
        rollback=RollbackState(run),
        ledger=EnergyLedger(),
        alerts=AlertBook(run),
        liveness=Liveness(heard=created, progressed=created),
    )


_DECODER: Final = msgspec.msgpack.Decoder(RunState)


def pack(state: RunState) -> bytes:
    """Encode a state."""
    return msgspec.msgpack.encode(state)


def unpack(packed: bytes) -> RunState:
    """Decode a state.

    Raises:
        msgspec.DecodeError: it is not a state as this version knows it.
    """
    return _DECODER.decode(packed)


def summarise(state: RunState) -> RunSummary:
    """What is told of a run at a glance."""
    open_: dict[str, int] = {}
    for severity in state.severities.values():
        open_[severity] = open_.get(severity, 0) + 1
    lines = energy_lines(state.ledger)
    return RunSummary(
        run=state.run,
        registration=state.registration,
        mode=state.rollback.mode,
        status=state.status,
        reason=state.reason,
        created=state.created,
        began=state.began,
        heard=state.liveness.heard,
        attempt=state.attempt,
        last_step=state.last_step,
        last_sample=state.last_sample,
        latest=dict(state.latest),
        metrics_left_out=state.metrics_left_out,
        incidents_open=open_,
        incidents_total=dict(state.incidents_total),
        power_w=state.power.by_component(),
        energy=lines,
        lost_joules=lost_joules(state.ledger, lines),
        meters=meters(state.ledger),
        lost_steps=state.ledger.lost_steps,
        lost_seconds=state.ledger.lost_seconds,
        rollbacks=state.rollback.rollbacks,
        samples_dropped=state.tallies.samples_dropped,
        hook_errors=state.tallies.hook_errors,
        fold_errors=state.tallies.fold_errors,
        unreadable_events=state.tallies.unreadable_events,
        budgets=state.budgets.told(),
    )
