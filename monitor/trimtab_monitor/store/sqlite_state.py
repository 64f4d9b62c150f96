"""What the fold made of the log, in SQLite."""

from __future__ import annotations

import sqlite3
from concurrent.futures import Future

import msgspec

from trimtab_monitor.store.database import Database
from trimtab_monitor.store.protocols import Commit, StaleCommit
from trimtab_monitor.store.sqlite_outbox import add_deliveries

_ADVANCE = "UPDATE folded SET position = ? WHERE position = ?"
_PUT_RUN = """
INSERT INTO runs (run, created, heard, live, summary, state) VALUES (?, ?, ?, ?, ?, ?)
ON CONFLICT (run) DO UPDATE SET heard = excluded.heard, live = excluded.live, summary = excluded.summary,
    state = excluded.state
"""
_PUT_INCIDENT = """
INSERT INTO incidents (run, id, body) VALUES (?, ?, ?)
ON CONFLICT (run, id) DO UPDATE SET body = excluded.body
"""
_PUT_COMMAND = """
INSERT INTO commands (run, id, pending, body) VALUES (?, ?, ?, ?)
ON CONFLICT (run, id) DO UPDATE SET pending = excluded.pending, body = excluded.body
"""
_PUT_ALERT = """
INSERT INTO alerts (id, run, state, body) VALUES (?, ?, ?, ?)
ON CONFLICT (id) DO UPDATE SET state = excluded.state, body = excluded.body
"""


class SqliteState:
    """See `protocols.State`."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def position(self) -> int:
        """See State."""
        with self._database.reading() as connection:
            (position,) = connection.execute("SELECT position FROM folded").fetchone()
        return int(position)

    def load(self, run: str) -> bytes | None:
        """See State."""
        with self._database.reading() as connection:
            row = connection.execute("SELECT state FROM runs WHERE run = ?", (run,)).fetchone()
        return None if row is None else row[0]

    def live(self) -> list[str]:
        """See State."""
        with self._database.reading() as connection:
            return [run for (run,) in connection.execute("SELECT run FROM runs WHERE live = 1")]

    def commit(self, commit: Commit) -> Future[None]:
        """See State."""
        return self._database.write(lambda connection: _commit(connection, commit))


def _commit(connection: sqlite3.Connection, commit: Commit) -> None:
    if connection.execute(_ADVANCE, (commit.position, commit.after)).rowcount != 1:
        raise StaleCommit(
            f"the state is not at position {commit.after} any more: is a second collector at work?"
        )
    for run in commit.runs:
        summary = msgspec.msgpack.encode(run.summary)
        connection.execute(_PUT_RUN, (run.run, run.created, run.heard, run.live, summary, run.state))
    _put_effects(connection, commit)
    add_deliveries(connection, commit.deliveries)


def _put_effects(connection: sqlite3.Connection, commit: Commit) -> None:
    encode = msgspec.msgpack.encode
    for run, incident in commit.incidents:
        connection.execute(_PUT_INCIDENT, (run, incident.id, encode(incident)))
    for run, command in commit.commands:
        pending = command.state == "pending"
        connection.execute(_PUT_COMMAND, (run, command.id, pending, encode(command)))
    for alert in commit.alerts:
        connection.execute(_PUT_ALERT, (alert.id, alert.run, alert.state, encode(alert)))
