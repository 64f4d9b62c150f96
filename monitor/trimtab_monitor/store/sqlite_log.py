"""The log in SQLite."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Sequence
from concurrent.futures import Future
from dataclasses import replace
from typing import Any

from trimtab_monitor.entries import NO_RUN, Draft, Record
from trimtab_monitor.store.database import Database
from trimtab_monitor.store.protocols import Appended

_APPEND = """
INSERT INTO log (kind, run, attempt, rank, seq, received, body) VALUES (?, ?, ?, ?, ?, ?, ?)
ON CONFLICT DO NOTHING
"""
_FIND = "SELECT position FROM log WHERE kind = 'batch' AND run = ? AND attempt = ? AND rank = ? AND seq = ?"
_SELECT = "SELECT position, kind, received, run, body FROM log"
_READ = f"{_SELECT} WHERE position > ? ORDER BY position LIMIT ?"
_READ_RUN = f"""{_SELECT} WHERE position > ? AND position <= ? AND run IN (?, '{NO_RUN}')
ORDER BY position LIMIT ?"""
_READ_BATCHES = f"""{_SELECT} WHERE kind = 'batch' AND run = ? AND rank = ? AND position > ?
ORDER BY position LIMIT ?"""

# From each rank the index leads straight to the next: as many look-ups as ranks, however long the log.
_RANKS = """
WITH RECURSIVE found(rank) AS (
    SELECT min(rank) FROM log WHERE kind = 'batch' AND run = :run
    UNION ALL
    SELECT (SELECT min(rank) FROM log WHERE kind = 'batch' AND run = :run AND log.rank > found.rank)
    FROM found WHERE found.rank IS NOT NULL
)
SELECT rank FROM found WHERE rank IS NOT NULL
"""


class SqliteLog:
    """See `protocols.Log`."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._grown = threading.Condition()
        self._woken = False
        with database.reading() as connection:
            row = connection.execute("SELECT coalesce(max(position), 0) FROM log").fetchone()
        self._end = int(row[0])

    def append(self, draft: Draft, also: Sequence[Draft] = ()) -> Future[Appended]:
        """See Log."""
        future = self._database.write(lambda connection: _append_all(connection, draft, also))
        future.add_done_callback(self._appended)
        return future

    def read(self, after: int, limit: int) -> list[Record]:
        """See Log."""
        return self._select(_READ, (after, limit))

    def read_run(self, run: str, after: int, upto: int, limit: int) -> list[Record]:
        """See Log."""
        return self._select(_READ_RUN, (after, upto, run, limit))

    def read_batches(self, run: str, rank: int, after: int, limit: int) -> list[Record]:
        """See Log."""
        return self._select(_READ_BATCHES, (run, rank, after, limit))

    def ranks(self, run: str) -> list[int]:
        """See Log."""
        with self._database.reading() as connection:
            return [rank for (rank,) in connection.execute(_RANKS, {"run": run})]

    def known_runs(self) -> set[str]:
        """See Log."""
        with self._database.reading() as connection:
            rows = connection.execute("SELECT DISTINCT run FROM log WHERE kind = 'registered'")
            return {run for (run,) in rows}

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
        return self._database.write(lambda connection: _forget_ticks(connection, upto, before))

    def _select(self, query: str, values: Sequence[Any]) -> list[Record]:
        with self._database.reading() as connection:
            return [Record(*row) for row in connection.execute(query, values)]

    def _appended(self, future: Future[Appended]) -> None:
        if future.exception() is not None:
            return
        appended = future.result()
        with self._grown:
            self._end = max(self._end, appended.position, appended.last)
            self._grown.notify_all()


def _append_all(connection: sqlite3.Connection, draft: Draft, also: Sequence[Draft]) -> Appended:
    appended = _append(connection, draft)
    last = max((_append(connection, each).position for each in also), default=0)
    return replace(appended, last=last) if also else appended


def _append(connection: sqlite3.Connection, draft: Draft) -> Appended:
    identity = (draft.run, draft.attempt, draft.rank, draft.seq)
    cursor = connection.execute(_APPEND, (draft.kind, *identity, draft.received, draft.body))
    if cursor.rowcount:
        assert cursor.lastrowid is not None
        return Appended(cursor.lastrowid, duplicate=False)
    (position,) = connection.execute(_FIND, identity).fetchone()
    return Appended(position, duplicate=True)


def _forget_ticks(connection: sqlite3.Connection, upto: int, before: float) -> None:
    connection.execute(
        "DELETE FROM log WHERE kind = 'tick' AND position <= ? AND received < ?", (upto, before)
    )
