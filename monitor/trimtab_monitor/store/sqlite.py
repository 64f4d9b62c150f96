"""The store in one SQLite file: for one collector, embedded or not."""

from __future__ import annotations

from pathlib import Path
from typing import Final

from trimtab_monitor.store.database import Database
from trimtab_monitor.store.sqlite_intensities import SqliteIntensities
from trimtab_monitor.store.sqlite_log import SqliteLog
from trimtab_monitor.store.sqlite_outbox import SqliteOutbox
from trimtab_monitor.store.sqlite_state import SqliteState
from trimtab_monitor.store.sqlite_views import SqliteViews

STORE_FILE: Final = "trimtab.db"


class SqliteStore:
    """A Store (see `protocols`) in the file `path`, which grows to at most `max_bytes` (none: no limit).

    Raises:
        StoreError: the file cannot be opened; the message says why and what to do.
    """

    def __init__(self, path: Path, max_bytes: int | None = None) -> None:
        self.database = Database(path, max_bytes)
        self.log = SqliteLog(self.database)
        self.state = SqliteState(self.database)
        self.views = SqliteViews(self.database)
        self.outbox = SqliteOutbox(self.database)
        self.intensities = SqliteIntensities(self.database)

    def failure(self) -> str | None:
        """Why the last write failed; none if it did not."""
        return self.database.failure()

    def close(self) -> None:
        """Finish what was asked for, then close the file."""
        self.database.close()
