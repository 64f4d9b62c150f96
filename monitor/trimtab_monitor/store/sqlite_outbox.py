"""The outbox in SQLite; `trimtab_alerts.outbox` says what it must do."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Sequence
from typing import Any

from trimtab_alerts.outbox import Delivery, OutboxUnavailable
from trimtab_monitor.store.database import Database
from trimtab_monitor.store.protocols import StoreUnavailable

_COLUMNS = (
    "id, destination, dedup_key, ordinal, action, body, created_at, attempts, next_try_at, state, error"
)
_ADD = f"INSERT OR IGNORE INTO outbox ({_COLUMNS}) VALUES ({', '.join('?' * 11)})"  # noqa: S608 - constants
_DUE = f"""
SELECT {_COLUMNS} FROM outbox AS head
WHERE state = 'pending' AND destination = ? AND next_try_at <= ? AND NOT EXISTS (
    SELECT 1 FROM outbox AS earlier
    WHERE earlier.state = 'pending' AND earlier.destination = head.destination
        AND earlier.dedup_key = head.dedup_key AND earlier.ordinal < head.ordinal
)
ORDER BY added LIMIT ?
"""  # noqa: S608 - constants
_DONE = "UPDATE outbox SET state = 'done', error = NULL WHERE id = ?"
_RETRY = "UPDATE outbox SET attempts = attempts + 1, next_try_at = ?, error = ? WHERE id = ?"
_DEAD = "UPDATE outbox SET state = 'dead', error = ? WHERE id = ?"


class SqliteOutbox:
    """See `trimtab_alerts.outbox.OutboxStore`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def due(self, destination: str, now: float, limit: int) -> list[Delivery]:
        """See OutboxStore."""
        return [Delivery(*row) for row in self._select(_DUE, (destination, now, limit))]

    def done(self, delivery_id: str) -> None:
        """See OutboxStore."""
        self._write(_DONE, (delivery_id,))

    def retry(self, delivery_id: str, at: float, error: str) -> None:
        """See OutboxStore."""
        self._write(_RETRY, (at, error, delivery_id))

    def dead(self, delivery_id: str, error: str) -> None:
        """See OutboxStore."""
        self._write(_DEAD, (error, delivery_id))

    def destinations(self) -> list[str]:
        """See OutboxStore."""
        rows = self._select("SELECT DISTINCT destination FROM outbox WHERE state = 'pending'")
        return [destination for (destination,) in rows]

    def depth(self) -> int:
        """See OutboxStore."""
        return int(self._select("SELECT count(*) FROM outbox WHERE state = 'pending'")[0][0])

    def oldest(self) -> float | None:
        """See OutboxStore."""
        oldest: float | None = self._select("SELECT min(created_at) FROM outbox WHERE state = 'pending'")[0][
            0
        ]
        return oldest

    def _select(self, query: str, values: Sequence[Any] = ()) -> list[tuple[Any, ...]]:
        try:
            with self._database.reading() as connection:
                return connection.execute(query, values).fetchall()
        except StoreUnavailable as error:
            raise OutboxUnavailable(str(error)) from error

    def _write(self, query: str, values: Sequence[Any]) -> None:
        """Write, and wait until it is durable: a send that is not noted as done is sent again."""
        try:
            self._database.write(lambda connection: connection.execute(query, values).rowcount).result()
        except StoreUnavailable as error:
            raise OutboxUnavailable(str(error)) from error


def add_deliveries(connection: sqlite3.Connection, deliveries: Iterable[Delivery]) -> None:
    """Put deliveries into the outbox, in the caller's transaction; one whose id is known is passed over."""
    connection.executemany(_ADD, [_row(delivery) for delivery in deliveries])


def _row(delivery: Delivery) -> tuple[Any, ...]:
    return (
        delivery.id,
        delivery.destination,
        delivery.dedup_key,
        delivery.ordinal,
        delivery.action,
        delivery.body,
        delivery.created_at,
        delivery.attempts,
        delivery.next_try_at,
        delivery.state,
        delivery.error,
    )
