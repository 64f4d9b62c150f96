"""One thread that writes, in groups: what was asked for while one group was made durable is the next.

With `synchronous=FULL` a transaction costs one flush to disk. Hundreds of appends that wait at the same time
share it, so many clients are not much slower than one, and nobody is answered before his write is durable.
"""

from __future__ import annotations

import logging
import queue
import sqlite3
import threading
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any, Final, Generic, TypeVar

from trimtab_monitor.store.protocols import StoreUnavailable

log = logging.getLogger(__name__)

T = TypeVar("T")
Job = Callable[[sqlite3.Connection], T]

MAX_GROUP: Final = 1024
"""Jobs in one transaction at most: bounds how long the first of them waits."""

_PASSING: Final = frozenset(
    {
        sqlite3.SQLITE_FULL,
        sqlite3.SQLITE_IOERR,
        sqlite3.SQLITE_BUSY,
        sqlite3.SQLITE_CANTOPEN,
        sqlite3.SQLITE_READONLY,
    }
)
"""Errors of the machine, not of the request: the same write may succeed later."""


class _Pending(Generic[T]):
    """A job, and the future that tells how it went."""

    __slots__ = ("future", "job", "result")

    def __init__(self, job: Job[T]) -> None:
        self.job = job
        self.future: Future[T] = Future()
        self.future.set_running_or_notify_cancel()  # once submitted, it is written: nobody can cancel it
        self.result: T

    def run(self, connection: sqlite3.Connection) -> None:
        self.result = self.job(connection)

    def succeed(self) -> None:
        self.future.set_result(self.result)


class Writer:
    """Runs jobs on the one connection that writes; a job's future is done once its transaction is durable."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._queue: queue.SimpleQueue[_Pending[Any] | None] = queue.SimpleQueue()
        self._closing = threading.Lock()
        self._closed = False
        self._failure: str | None = None
        self._thread = threading.Thread(target=self._run, name="trimtab-store-writer", daemon=True)
        self._thread.start()

    @property
    def failure(self) -> str | None:
        """Why the last group could not be made durable; none if it was."""
        return self._failure

    def submit(self, job: Job[T]) -> Future[T]:
        """Run a job in the next transaction; the future fails with what it raised, or StoreUnavailable."""
        pending = _Pending(job)
        with self._closing:
            if self._closed:
                raise StoreUnavailable("the store is closed")
            self._queue.put(pending)
        return pending.future

    def close(self) -> None:
        """Finish what was submitted, then end the thread."""
        with self._closing:
            if not self._closed:
                self._closed = True
                self._queue.put(None)
        self._thread.join()

    def _run(self) -> None:
        while (group := self._next_group()) is not None:
            self._commit(group)

    def _next_group(self) -> list[_Pending[Any]] | None:
        """Everything that waits now, waiting for the first; none once closed and empty."""
        first = self._queue.get()
        if first is None:
            return None
        group = [first]
        while len(group) < MAX_GROUP and not self._queue.empty():
            another = self._queue.get()
            if another is None:
                self._queue.put(None)  # nothing comes behind it any more
                break
            group.append(another)
        return group

    def _commit(self, group: list[_Pending[Any]]) -> None:
        try:
            self._transact(group)
        except sqlite3.Error as error:
            self._failed(group, error)
        except Exception as error:  # noqa: BLE001 - one job's fault: it is told to whoever asked for that job
            self._failed(group, error)
        else:
            self._failure = None
            for pending in group:
                pending.succeed()

    def _transact(self, group: list[_Pending[Any]]) -> None:
        self._connection.execute("BEGIN IMMEDIATE")
        try:
            for pending in group:
                pending.run(self._connection)
            self._connection.execute("COMMIT")
        except BaseException:
            if self._connection.in_transaction:
                self._connection.execute("ROLLBACK")
            raise

    def _failed(self, group: list[_Pending[Any]], error: Exception) -> None:
        """Tell those who wait; if one job of several may be at fault, try them one by one first."""
        passing = _passing(error)
        if passing is None and len(group) > 1:
            for pending in group:
                self._commit([pending])
            return
        if passing is not None and self._failure is None:
            log.error("the store cannot write: %s", error)
        if passing is not None:
            self._failure = str(passing)
        for pending in group:
            pending.future.set_exception(passing or error)


def _passing(error: Exception) -> StoreUnavailable | None:
    code = getattr(error, "sqlite_errorcode", None)  # the module's own errors have none
    if not isinstance(error, sqlite3.Error) or code is None or code & 0xFF not in _PASSING:
        return None
    return StoreUnavailable(f"{error} ({error.sqlite_errorname})")
