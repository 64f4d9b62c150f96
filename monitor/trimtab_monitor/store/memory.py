"""The store in memory: the same promises but one, it dies with the process. For tests, and to fold a file."""

from __future__ import annotations

import threading
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import replace
from typing import TypeVar

from trimtab.wire import Command
from trimtab_alerts.alert import Alert
from trimtab_alerts.outbox import InMemoryOutbox
from trimtab_monitor.entries import NO_RUN, Draft, Record
from trimtab_monitor.pricing.intensity.values import HourlyIntensity
from trimtab_monitor.store.protocols import (
    Appended,
    Commit,
    RunSnapshot,
    StaleCommit,
    StoreUnavailable,
)
from trimtab_monitor.summary import RunSummary
from trimtab_monitor.types import Incident

T = TypeVar("T")


class MemoryLog:
    """See `protocols.Log`. While `unavailable` says why, nothing can be appended."""

    def __init__(self) -> None:
        self.unavailable: str | None = None
        self._grown = threading.Condition()
        self._woken = False
        self._end = 0
        self._rows: list[tuple[Record, Draft]] = []
        self._batches: dict[tuple[str, int, int, int], int] = {}

    def append(self, draft: Draft, also: Sequence[Draft] = ()) -> Future[Appended]:
        """See Log."""
        return _future(lambda: self._append_all(draft, also))

    def read(self, after: int, limit: int) -> list[Record]:
        """See Log."""
        return self._where(lambda record, _: record.position > after, limit)

    def read_run(self, run: str, after: int, upto: int, limit: int) -> list[Record]:
        """See Log."""
        return self._where(
            lambda record, _: after < record.position <= upto and record.run in (run, NO_RUN), limit
        )

    def read_batches(self, run: str, rank: int, after: int, limit: int) -> list[Record]:
        """See Log."""
        wanted = ("batch", run, rank)
        return self._where(
            lambda record, draft: record.position > after and (draft.kind, draft.run, draft.rank) == wanted,
            limit,
        )

    def ranks(self, run: str) -> list[int]:
        """See Log."""
        with self._grown:
            return sorted({rank for owner, _, rank, _ in self._batches if owner == run})

    def known_runs(self) -> set[str]:
        """See Log."""
        with self._grown:
            return {record.run for record, _ in self._rows if record.kind == "registered"}

    def end(self) -> int:
        """See Log."""
        return self._end

    def wait(self, after: int, timeout: float) -> None:
        """See Log."""
        with self._grown:
            self._grown.wait_for(lambda: self._end > after or self._woken, timeout)
            self._woken = False

    def wake(self) -> None:
        """See Log."""
        with self._grown:
            self._woken = True
            self._grown.notify_all()

    def forget_ticks(self, upto: int, before: float) -> Future[None]:
        """See Log."""
        return _future(lambda: self._forget_ticks(upto, before))

    def _append_all(self, draft: Draft, also: Sequence[Draft]) -> Appended:
        appended = self._append(draft)
        last = max((self._append(each).position for each in also), default=0)
        return replace(appended, last=last) if also else appended

    def _append(self, draft: Draft) -> Appended:
        identity = (draft.run, draft.attempt, draft.rank, draft.seq)
        with self._grown:
            if self.unavailable is not None:
                raise StoreUnavailable(self.unavailable)
            if draft.kind == "batch" and identity in self._batches:
                return Appended(self._batches[identity], duplicate=True)
            self._end += 1
            record = Record(self._end, draft.kind, draft.received, draft.run, draft.body)
            self._rows.append((record, draft))
            if draft.kind == "batch":
                self._batches[identity] = record.position
            self._grown.notify_all()
            return Appended(record.position, duplicate=False)

    def _forget_ticks(self, upto: int, before: float) -> None:
        with self._grown:
            self._rows = [row for row in self._rows if not _old_tick(row[0], upto, before)]

    def _where(self, wanted: Callable[[Record, Draft], bool], limit: int) -> list[Record]:
        with self._grown:
            return [record for record, draft in self._rows if wanted(record, draft)][:limit]


def _old_tick(record: Record, upto: int, before: float) -> bool:
    return record.kind == "tick" and record.position <= upto and record.received < before


class Tables:
    """What was committed."""

    def __init__(self) -> None:
        self.lock = threading.Lock()
        self.position = 0
        self.runs: dict[str, RunSnapshot] = {}
        self.incidents: dict[tuple[str, str], Incident] = {}
        self.commands: dict[tuple[str, str], Command] = {}
        self.alerts: dict[str, Alert] = {}


class MemoryState:
    """See `protocols.State`."""

    def __init__(self, tables: Tables, outbox: InMemoryOutbox) -> None:
        self._tables = tables
        self._outbox = outbox

    def position(self) -> int:
        """See State."""
        return self._tables.position

    def load(self, run: str) -> bytes | None:
        """See State."""
        with self._tables.lock:
            snapshot = self._tables.runs.get(run)
            return None if snapshot is None else snapshot.state

    def live(self) -> list[str]:
        """See State."""
        with self._tables.lock:
            return [run for run, snapshot in self._tables.runs.items() if snapshot.live]

    def commit(self, commit: Commit) -> Future[None]:
        """See State."""
        return _future(lambda: self._commit(commit))

    def _commit(self, commit: Commit) -> None:
        tables = self._tables
        with tables.lock:
            if tables.position != commit.after:
                raise StaleCommit(f"the state is not at position {commit.after} any more")
            tables.position = commit.position
            tables.runs.update((snapshot.run, snapshot) for snapshot in commit.runs)
            tables.incidents.update(((run, incident.id), incident) for run, incident in commit.incidents)
            tables.commands.update(((run, command.id), command) for run, command in commit.commands)
            tables.alerts.update((alert.id, alert) for alert in commit.alerts)
        self._outbox.add(commit.deliveries)


class MemoryViews:
    """See `protocols.Views`."""

    def __init__(self, tables: Tables) -> None:
        self._tables = tables

    def summaries(self, heard_since: float = 0.0, limit: int | None = None) -> list[RunSummary]:
        """See Views."""
        newest_last = sorted(self._list(self._tables.runs), key=lambda snapshot: snapshot.created)
        runs = reversed(newest_last)
        return [snapshot.summary for snapshot in runs if snapshot.heard >= heard_since][:limit]

    def summary(self, run: str) -> RunSummary | None:
        """See Views."""
        with self._tables.lock:
            snapshot = self._tables.runs.get(run)
            return None if snapshot is None else snapshot.summary

    def incidents(self, run: str) -> list[Incident]:
        """See Views."""
        with self._tables.lock:
            return [incident for (owner, _), incident in self._tables.incidents.items() if owner == run]

    def commands(self, run: str) -> list[Command]:
        """See Views."""
        with self._tables.lock:
            return [command for (owner, _), command in self._tables.commands.items() if owner == run]

    def pending_commands(self) -> list[tuple[str, Command]]:
        """See Views."""
        with self._tables.lock:
            commands = self._tables.commands.items()
            return [(run, command) for (run, _), command in commands if command.state == "pending"]

    def alerts(self, limit: int) -> list[Alert]:
        """See Views."""
        return list(reversed(self._list(self._tables.alerts)))[:limit]

    def alert(self, alert_id: str) -> Alert | None:
        """See Views."""
        with self._tables.lock:
            return self._tables.alerts.get(alert_id)

    def _list(self, table: dict[str, T]) -> list[T]:
        with self._tables.lock:
            return list(table.values())


class MemoryIntensities:
    """See `protocols.IntensityTable`."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._values: dict[tuple[str, str, str, int], HourlyIntensity] = {}

    def put(self, values: Sequence[HourlyIntensity]) -> Future[None]:
        """See IntensityTable."""
        return _future(lambda: self._put(values))

    def between(self, provider: str, zone: str, from_hour: int, to_hour: int) -> list[HourlyIntensity]:
        """See IntensityTable."""
        with self._lock:
            return [
                value
                for key, value in sorted(self._values.items())
                if key[:2] == (provider, zone) and from_hour <= value.hour < to_hour
            ]

    def _put(self, values: Sequence[HourlyIntensity]) -> None:
        with self._lock:
            for value in values:
                key = (value.provider, value.zone, value.signal, value.hour)
                known = self._values.get(key)
                if known is None or not known.is_settled or not value.is_estimated:
                    self._values[key] = value


class MemoryStore:
    """A Store (see `protocols`) that lives as long as its process."""

    def __init__(self) -> None:
        self.tables = Tables()
        self.log = MemoryLog()
        self.outbox = InMemoryOutbox()
        self.state = MemoryState(self.tables, self.outbox)
        self.views = MemoryViews(self.tables)
        self.intensities = MemoryIntensities()

    def failure(self) -> str | None:
        """Why nothing can be written; none if it can."""
        return self.log.unavailable

    def close(self) -> None:
        """Nothing is held."""


def _future(job: Callable[[], T]) -> Future[T]:
    future: Future[T] = Future()
    try:
        future.set_result(job())
    except (StoreUnavailable, StaleCommit) as error:
        future.set_exception(error)
    return future
