"""The SQLite file: one connection that writes, a pool of connections that read."""

from __future__ import annotations

import contextlib
import queue
import sqlite3
from collections.abc import Iterator
from concurrent.futures import Future
from importlib import resources
from pathlib import Path
from typing import Final

from trimtab_monitor.store.protocols import StoreError, StoreUnavailable
from trimtab_monitor.store.writer import Job, T, Writer

SCHEMA_VERSION: Final = 2
BUSY_SECONDS: Final = 5.0
WAL_LIMIT_BYTES: Final = 64 * 1024 * 1024

_DAMAGED: Final = frozenset({"SQLITE_NOTADB", "SQLITE_CORRUPT"})
_MOVE_AWAY: Final = "move it away, or give another --dir"


class Database:
    """An open file. Reads see what is committed, whatever is being written."""

    def __init__(self, path: Path, max_bytes: int | None = None) -> None:
        self._path = path
        self._readers: queue.LifoQueue[sqlite3.Connection] = queue.LifoQueue()
        self._connection = _open(path)
        try:
            _prepare(self._connection, path, max_bytes)
        except BaseException:
            self._connection.close()
            raise
        self._writer = Writer(self._connection)

    def write(self, job: Job[T]) -> Future[T]:
        """Run a job in the next transaction; see Writer.submit."""
        return self._writer.submit(job)

    @contextlib.contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """A connection to read with; any number of threads may hold one each.

        Raises:
            StoreUnavailable: the file cannot be read now.
        """
        try:
            connection = self._readers.get_nowait()
        except queue.Empty:
            connection = _connect(self._path)
            connection.execute("PRAGMA query_only = ON")
        try:
            yield connection
        except sqlite3.OperationalError as error:
            raise StoreUnavailable(f"{self._path}: {error}") from error
        finally:
            self._readers.put(connection)

    def failure(self) -> str | None:
        """Why the last write failed; none if it did not."""
        return self._writer.failure

    def close(self) -> None:
        """Finish what was asked for, then close every connection."""
        self._writer.close()
        with contextlib.suppress(queue.Empty):
            while True:
                self._readers.get_nowait().close()
        self._connection.close()


def _connect(path: Path) -> sqlite3.Connection:
    return sqlite3.connect(path, timeout=BUSY_SECONDS, isolation_level=None, check_same_thread=False)


def _open(path: Path) -> sqlite3.Connection:
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        return _connect(path)
    except (OSError, sqlite3.Error) as error:
        raise StoreError(_cannot_open(path, error)) from error


def _prepare(connection: sqlite3.Connection, path: Path, max_bytes: int | None) -> None:
    try:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = FULL")
        connection.execute(f"PRAGMA journal_size_limit = {WAL_LIMIT_BYTES}")
        _migrate(connection, path)
        if max_bytes is not None:
            (page_bytes,) = connection.execute("PRAGMA page_size").fetchone()
            connection.execute(f"PRAGMA max_page_count = {max(1, max_bytes // page_bytes)}")
    except sqlite3.Error as error:
        raise StoreError(_cannot_open(path, error)) from error


def _migrate(connection: sqlite3.Connection, path: Path) -> None:
    (version,) = connection.execute("PRAGMA user_version").fetchone()
    if version > SCHEMA_VERSION:
        raise StoreError(
            f"{path} was written by a newer trimtab (schema {version}, this one knows {SCHEMA_VERSION}): "
            "upgrade trimtab, or give another --dir"
        )
    if version < SCHEMA_VERSION:  # tables that are there stay as they are: so far versions have added some
        if version == 0:
            _refuse_others(connection, path)
        schema = resources.files("trimtab_monitor.store").joinpath("schema.sql").read_text(encoding="utf-8")
        connection.executescript(
            f"BEGIN IMMEDIATE;\n{schema}\nPRAGMA user_version = {SCHEMA_VERSION};\nCOMMIT;"
        )


def _refuse_others(connection: sqlite3.Connection, path: Path) -> None:
    """A database without a version of ours is new, and empty; else it is somebody else's."""
    (tables,) = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()
    if tables:
        raise StoreError(f"{path} is no database of Trimtab's; {_MOVE_AWAY}")


def _cannot_open(path: Path, error: Exception) -> str:
    if getattr(error, "sqlite_errorname", "") in _DAMAGED:
        return f"{path} is no database of Trimtab's, or damaged ({error}); {_MOVE_AWAY}"
    return f"cannot open {path}: {error}; make the directory writable, or give another --dir"
