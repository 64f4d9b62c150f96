"""What the log holds: the only things from which the collector's state is made.

    registered         a run made itself known (again)
    batch              rows, device readings and events of one rank
    tick               the collector's clock, while some run is live
    command_posted     a person asked something of a job
    alert_acked        a person took an alert
    collector_started  the collector came (back) to life
    budget_reached     a budget has come to a level at which it is told
    devices_held       other runs hold devices of a run, or let go of them

An `Entry` is what the fold takes. A `Draft` is an entry on its way into the log, a `Record` one read from
there: their `body` is bytes, so that a store needs to know nothing of what it keeps. `time` of an entry is
when the collector received it, in Unix seconds of the collector's clock.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, Literal

import msgspec

from trimtab import wire
from trimtab_monitor.budget.limits import RunBudget
from trimtab_monitor.budget.verdict import Reached

Kind = Literal[
    "registered",
    "batch",
    "tick",
    "command_posted",
    "alert_acked",
    "collector_started",
    "budget_reached",
    "devices_held",
]
TrainingPhase = Literal["pretraining", "post-training", "test-time"]

NO_RUN: Final = ""
"""The run of an entry that is of no run: a tick, a start of the collector."""


class Registration(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What a run says of itself. `tokens_per_step` counts tokens over all ranks, `parameters` the model's.

    `origin` is where it comes from: the cluster's name for its job, the commit, the versions.
    """

    project: str
    name: str | None = None
    world_size: int | None = None
    total_steps: int | None = None
    tokens_per_step: int | None = None
    parameters: int | None = None
    phase: TrainingPhase | None = None
    budget: RunBudget | None = None
    config: Mapping[str, Any] = {}
    origin: Mapping[str, Any] = {}


@dataclass(frozen=True, slots=True)
class Registered:
    """A run made itself known, or did so again."""

    time: float
    run: str
    registration: Registration


@dataclass(frozen=True, slots=True)
class BatchReceived:
    """One batch of one rank."""

    time: float
    run: str
    batch: wire.Batch


@dataclass(frozen=True, slots=True)
class CommandPosted:
    """A person asked something of a job."""

    time: float
    run: str
    command: wire.Command


@dataclass(frozen=True, slots=True)
class AlertAcked:
    """A person took the alert `alert` (its id)."""

    time: float
    run: str
    alert: str


@dataclass(frozen=True, slots=True)
class Tick:
    """The collector's clock."""

    time: float


@dataclass(frozen=True, slots=True)
class CollectorStarted:
    """The collector came to life: before `time` it may have been deaf."""

    time: float


@dataclass(frozen=True, slots=True)
class BudgetReached:
    """A budget that the run counts to has come to a level: factors depend on the clock, so this is noted."""

    time: float
    run: str
    reached: Reached


class Holding(msgspec.Struct, frozen=True, array_like=True):
    """The run `by` held a device, [from, until) in Unix microseconds of the readings' clock.

    `device` is the ledger's `device_key`. While it goes on `until_us` is `stretches.OPEN_US`; told again with
    another end or beginning, it takes the place of what was told before of the same time.
    """

    device: str
    by: str
    from_us: int
    until_us: int


@dataclass(frozen=True, slots=True)
class DevicesHeld:
    """Other runs held devices of `run` at the same time: their energy is to be divided."""

    time: float
    run: str
    holdings: Sequence[Holding]


Entry = (
    Registered
    | BatchReceived
    | CommandPosted
    | AlertAcked
    | Tick
    | CollectorStarted
    | BudgetReached
    | DevicesHeld
)


@dataclass(frozen=True, slots=True)
class Draft:
    """An entry on its way into the log. (run, attempt, rank, seq) is the identity of a batch."""

    kind: Kind
    received: float
    run: str = NO_RUN
    body: bytes = b""
    attempt: int = 0
    rank: int = 0
    seq: int = 0


@dataclass(frozen=True, slots=True)
class Record:
    """An entry as the log holds it, at `position`: positions grow, and may leave gaps."""

    position: int
    kind: Kind
    received: float
    run: str
    body: bytes


def draft_of(entry: Entry) -> Draft:
    """Encode an entry for the log."""
    match entry:
        case Registered(time, run, registration):
            return Draft("registered", time, run, msgspec.msgpack.encode(registration))
        case BatchReceived(time, run, batch):
            return batch_draft(run, time, batch, wire.encode(batch))
        case CommandPosted(time, run, command):
            return Draft("command_posted", time, run, msgspec.msgpack.encode(command))
        case AlertAcked(time, run, alert):
            return Draft("alert_acked", time, run, alert.encode())
        case Tick(time):
            return Draft("tick", time)
        case CollectorStarted(time):
            return Draft("collector_started", time)
        case BudgetReached(time, run, reached):
            return Draft("budget_reached", time, run, msgspec.msgpack.encode(reached))
        case DevicesHeld(time, run, holdings):
            return Draft("devices_held", time, run, msgspec.msgpack.encode(holdings))


def batch_draft(run: str, received: float, batch: wire.Batch, body: bytes) -> Draft:
    """The draft of a batch whose MessagePack encoding is at hand as `body`."""
    return Draft("batch", received, run, body, batch.attempt, batch.rank, batch.seq)


def entry_of(record: Record) -> Entry:
    """Decode what the log holds."""
    match record.kind:
        case "registered":
            registration = msgspec.msgpack.decode(record.body, type=Registration)
            return Registered(record.received, record.run, registration)
        case "batch":
            return BatchReceived(record.received, record.run, wire.decode(record.body))
        case "command_posted":
            command = msgspec.msgpack.decode(record.body, type=wire.Command)
            return CommandPosted(record.received, record.run, command)
        case "alert_acked":
            return AlertAcked(record.received, record.run, record.body.decode())
        case "tick":
            return Tick(record.received)
        case "collector_started":
            return CollectorStarted(record.received)
        case "budget_reached":
            reached = msgspec.msgpack.decode(record.body, type=Reached)
            return BudgetReached(record.received, record.run, reached)
        case "devices_held":
            holdings = msgspec.msgpack.decode(record.body, type=list[Holding])
            return DevicesHeld(record.received, record.run, holdings)
