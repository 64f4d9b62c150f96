"""What the collector needs of a store, each consumer its part.

The log is the truth. State is what the fold makes of it; it is committed together with the log position that
it was made from and the effects that it had, all or nothing. That is what makes a killed collector resume
exactly where it was. Writes return a Future that is done when the write is durable; reads may be called from
any thread.
"""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from typing import Protocol

from trimtab.wire import Command
from trimtab_alerts.alert import Alert
from trimtab_alerts.outbox import Delivery, OutboxStore
from trimtab_monitor.entries import Draft, Record
from trimtab_monitor.pricing.intensity.values import HourlyIntensity
from trimtab_monitor.summary import RunSummary
from trimtab_monitor.types import Incident


class StoreError(Exception):
    """The store cannot be used at all; the message says why and what to do."""


class StoreUnavailable(Exception):  # noqa: N818 - a state, told as such
    """The store cannot write or read now (disk full, input/output error): try again later."""


class StaleCommit(Exception):  # noqa: N818 - a state, told as such
    """The state was committed by somebody else meanwhile: what is in memory must not be written over it."""


@dataclass(frozen=True, slots=True)
class Appended:
    """Where an entry stands in the log; `duplicate` if it stood there before.

    `last` is the position of the last of those that were appended with it, 0 if it came alone.
    """

    position: int
    duplicate: bool
    last: int = 0


@dataclass(frozen=True, slots=True)
class RunSnapshot:
    """One run as the fold left it. `live`: the clock may still change it, so ticks must reach it."""

    run: str
    created: float
    heard: float
    live: bool
    summary: RunSummary
    state: bytes


@dataclass(frozen=True, slots=True)
class Commit:
    """What the fold did between `after` and `position`: written in one transaction, or not at all."""

    after: int
    position: int
    runs: Sequence[RunSnapshot] = ()
    incidents: Sequence[tuple[str, Incident]] = ()
    commands: Sequence[tuple[str, Command]] = ()
    alerts: Sequence[Alert] = ()
    deliveries: Sequence[Delivery] = ()


class Log(Protocol):
    """Entries in the order in which they were appended."""

    def append(self, draft: Draft, also: Sequence[Draft] = ()) -> Future[Appended]:
        """Append an entry; a batch whose identity is there already is not appended again.

        Those in `also` follow it, duplicate or not, in the same transaction: all or nothing. The future fails
        with StoreUnavailable if they could not be made durable.
        """

    def read(self, after: int, limit: int) -> list[Record]:
        """The first `limit` entries behind position `after`."""

    def read_run(self, run: str, after: int, upto: int, limit: int) -> list[Record]:
        """Of the entries in (after, upto], the first `limit` that are of `run` or of no run."""

    def read_batches(self, run: str, rank: int, after: int, limit: int) -> list[Record]:
        """The first `limit` batches of a rank behind position `after`."""

    def ranks(self, run: str) -> list[int]:
        """The ranks of a run that have batches in the log, lowest first."""

    def known_runs(self) -> set[str]:
        """Every run that has registered."""

    def end(self) -> int:
        """The position of the newest entry, 0 if there was never one."""

    def wait(self, after: int, timeout: float) -> None:
        """Wait for an entry behind `after`, for `timeout` seconds, or until `wake`; one thread at a time."""

    def wake(self) -> None:
        """End the wait that goes on, else the next."""

    def forget_ticks(self, upto: int, before: float) -> Future[None]:
        """Drop the ticks at or before position `upto` that were received before `before`, Unix seconds."""


class State(Protocol):
    """What the fold made of the log, and up to where."""

    def position(self) -> int:
        """Up to which log position the state goes."""

    def load(self, run: str) -> bytes | None:
        """The state of a run; none if nothing of it was folded yet."""

    def live(self) -> list[str]:
        """The runs that the clock may still change."""

    def commit(self, commit: Commit) -> Future[None]:
        """Write state, position and effects in one transaction.

        An incident, a command or an alert whose id is known takes the place of the old one and keeps its
        order; a delivery whose id is known is passed over. The future fails with StaleCommit if
        `commit.after` is not the committed position, with StoreUnavailable if it could not be made durable.
        """


class Views(Protocol):
    """What people ask: committed state only."""

    def summaries(self, heard_since: float = 0.0, limit: int | None = None) -> list[RunSummary]:
        """The runs heard since then, newest first."""

    def summary(self, run: str) -> RunSummary | None:
        """One run."""

    def incidents(self, run: str) -> list[Incident]:
        """The incidents of a run in the order in which they were opened."""

    def commands(self, run: str) -> list[Command]:
        """The commands of a run in the order in which they were given."""

    def pending_commands(self) -> list[tuple[str, Command]]:
        """Run and command of every command that waits for its job."""

    def alerts(self, limit: int) -> list[Alert]:
        """The newest `limit` alerts, newest first."""

    def alert(self, alert_id: str) -> Alert | None:
        """One alert."""


class IntensityTable(Protocol):
    """Carbon intensities of grids by the hour, as providers told them. No fold reads or writes them."""

    def put(self, values: Sequence[HourlyIntensity]) -> Future[None]:
        """Keep values.

        A later one of the same hour takes the place of the old, but no estimate that of a settled one. The
        future fails with StoreUnavailable if they could not be made durable.
        """

    def between(self, provider: str, zone: str, from_hour: int, to_hour: int) -> list[HourlyIntensity]:
        """What a provider told of a zone in [from_hour, to_hour), Unix seconds, by signal and hour."""


class Store(Protocol):
    """All of it, opened."""

    @property
    def log(self) -> Log:
        """The log."""

    @property
    def state(self) -> State:
        """The fold's state."""

    @property
    def views(self) -> Views:
        """What people ask."""

    @property
    def outbox(self) -> OutboxStore:
        """What is still to be told."""

    @property
    def intensities(self) -> IntensityTable:
        """Carbon intensities of grids."""

    def failure(self) -> str | None:
        """Why the last write failed; none if it did not."""

    def close(self) -> None:
        """Finish what was asked for, then let go of everything."""
