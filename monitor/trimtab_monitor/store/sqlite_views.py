"""What people ask, from the committed tables."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, TypeVar

import msgspec

from trimtab.wire import Command
from trimtab_alerts.alert import Alert
from trimtab_monitor.store.database import Database
from trimtab_monitor.summary import RunSummary
from trimtab_monitor.types import Incident

T = TypeVar("T")

_SUMMARIES = "SELECT summary FROM runs WHERE heard >= ? ORDER BY created DESC, rowid DESC LIMIT ?"
_PENDING = "SELECT run, body FROM commands WHERE pending = 1 ORDER BY ordinal"
NO_LIMIT = -1


class SqliteViews:
    """See `protocols.Views`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def summaries(self, heard_since: float = 0.0, limit: int | None = None) -> list[RunSummary]:
        """See Views."""
        return self._all(RunSummary, _SUMMARIES, (heard_since, NO_LIMIT if limit is None else limit))

    def summary(self, run: str) -> RunSummary | None:
        """See Views."""
        return self._one(RunSummary, "SELECT summary FROM runs WHERE run = ?", (run,))

    def incidents(self, run: str) -> list[Incident]:
        """See Views."""
        return self._all(Incident, "SELECT body FROM incidents WHERE run = ? ORDER BY ordinal", (run,))

    def commands(self, run: str) -> list[Command]:
        """See Views."""
        return self._all(Command, "SELECT body FROM commands WHERE run = ? ORDER BY ordinal", (run,))

    def pending_commands(self) -> list[tuple[str, Command]]:
        """See Views."""
        with self._database.reading() as connection:
            rows = connection.execute(_PENDING).fetchall()
        return [(run, msgspec.msgpack.decode(body, type=Command)) for run, body in rows]

    def alerts(self, limit: int) -> list[Alert]:
        """See Views."""
        return self._all(Alert, "SELECT body FROM alerts ORDER BY ordinal DESC LIMIT ?", (limit,))

    def alert(self, alert_id: str) -> Alert | None:
        """See Views."""
        return self._one(Alert, "SELECT body FROM alerts WHERE id = ?", (alert_id,))

    def _all(self, kind: type[T], query: str, values: Sequence[Any]) -> list[T]:
        with self._database.reading() as connection:
            rows = connection.execute(query, values).fetchall()
        decoder = msgspec.msgpack.Decoder(kind)
        return [decoder.decode(body) for (body,) in rows]

    def _one(self, kind: type[T], query: str, values: Sequence[Any]) -> T | None:
        return next(iter(self._all(kind, query, values)), None)
