"""What only a store on disk can do: fill up, be locked, be of another version, be written in groups."""

from __future__ import annotations

import sqlite3
import threading
from concurrent.futures import Future
from pathlib import Path

import pytest

from trimtab_monitor.entries import Draft
from trimtab_monitor.store.database import SCHEMA_VERSION
from trimtab_monitor.store.protocols import Appended, StoreError, StoreUnavailable
from trimtab_monitor.store.sqlite import SqliteStore
from trimtab_monitor.store.writer import Writer

MEGABYTE = 1024 * 1024


def batch(seq: int, size: int = 10) -> Draft:
    return Draft("batch", 1.0, "run", bytes(size), seq=seq)


def test_it_is_there_after_it_was_closed(tmp_path: Path) -> None:
    first = SqliteStore(tmp_path / "deep" / "trimtab.db")
    position = first.log.append(batch(1)).result().position
    first.close()
    second = SqliteStore(tmp_path / "deep" / "trimtab.db")
    assert second.log.end() == position
    assert second.log.append(batch(1)).result() == Appended(position, duplicate=True)
    second.close()


def test_a_commit_is_flushed_to_disk(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "trimtab.db")
    with store.database.reading() as connection:
        assert connection.execute("PRAGMA journal_mode").fetchone() == ("wal",)
    assert store.database.write(lambda c: c.execute("PRAGMA synchronous").fetchone()).result() == (2,)
    store.close()


def test_whoever_waits_at_the_same_time_shares_a_transaction(tmp_path: Path) -> None:
    connection = sqlite3.connect(tmp_path / "x.db", isolation_level=None, check_same_thread=False)
    connection.execute("CREATE TABLE t (x)")
    begun: list[str] = []
    connection.set_trace_callback(lambda text: begun.append(text) if text.startswith("BEGIN") else None)
    writer = Writer(connection)
    holding = threading.Event()
    first = writer.submit(lambda _: holding.wait(30))
    waiting = [writer.submit(lambda c, i=i: c.execute("INSERT INTO t VALUES (?)", (i,))) for i in range(100)]  # type: ignore[misc]
    holding.set()
    first.result()
    for future in waiting:
        future.result()
    assert len(begun) <= 2
    writer.close()
    connection.close()


def test_one_that_fails_does_not_spoil_the_others(tmp_path: Path) -> None:
    connection = sqlite3.connect(tmp_path / "x.db", isolation_level=None, check_same_thread=False)
    connection.execute("CREATE TABLE t (x UNIQUE)")
    writer = Writer(connection)
    holding = threading.Event()
    writer.submit(lambda _: holding.wait(30))
    futures: list[Future[object]] = [
        writer.submit(lambda c, x=x: c.execute("INSERT INTO t VALUES (?)", (x,)))  # type: ignore[misc]
        for x in (1, 2, 1, 3)
    ]
    holding.set()
    failed = [type(future.exception()).__name__ for future in futures]
    assert failed == ["NoneType", "NoneType", "IntegrityError", "NoneType"]
    assert connection.execute("SELECT x FROM t ORDER BY x").fetchall() == [(1,), (2,), (3,)]
    assert writer.failure is None
    writer.close()
    connection.close()


def test_an_error_that_sqlite_has_no_code_for_is_told_to_who_waits(tmp_path: Path) -> None:
    connection = sqlite3.connect(tmp_path / "x.db", isolation_level=None, check_same_thread=False)
    writer = Writer(connection)
    unfit = writer.submit(lambda c: c.execute("SELECT ?", ()))
    assert isinstance(unfit.exception(10), sqlite3.ProgrammingError)
    assert writer.submit(lambda c: c.execute("SELECT 1").fetchone()).result(10) == (1,)
    writer.close()
    connection.close()


def test_nobody_can_take_back_what_he_submitted(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "trimtab.db")
    future = store.log.append(batch(1))
    assert not future.cancel()
    assert future.result().position == 1
    store.close()


def test_a_closed_store_takes_nothing(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / "trimtab.db")
    store.close()
    with pytest.raises(StoreUnavailable):
        store.log.append(batch(1))


class TestFull:
    def test_it_takes_nothing_that_is_not_durable_and_then_goes_on(self, tmp_path: Path) -> None:
        store = SqliteStore(tmp_path / "trimtab.db", max_bytes=MEGABYTE)
        kept, refused = [], None
        for seq in range(100):
            try:
                store.log.append(batch(seq, 50_000)).result()
                kept.append(seq)
            except StoreUnavailable as error:
                refused = error
                break
        assert "SQLITE_FULL" in str(refused)
        assert store.failure() is not None
        assert len(store.log.read(0, 1000)) == len(kept) > 5
        with pytest.raises(StoreUnavailable):
            store.log.append(batch(1000, 50_000)).result()

        # Somebody makes room.
        store.database.write(lambda c: c.execute("PRAGMA max_page_count = 100000")).result()
        assert store.log.append(batch(1000, 50_000)).result().position > 0
        assert store.failure() is None
        store.close()


class TestUnusable:
    def test_a_file_of_a_newer_version(self, tmp_path: Path) -> None:
        path = tmp_path / "trimtab.db"
        with sqlite3.connect(path) as connection:
            connection.execute(f"PRAGMA user_version = {SCHEMA_VERSION + 1}")
        connection.close()
        with pytest.raises(StoreError, match=r"written by a newer trimtab .* upgrade trimtab"):
            SqliteStore(path)

    def test_a_file_that_is_no_database(self, tmp_path: Path) -> None:
        path = tmp_path / "trimtab.db"
        path.write_bytes(b"hello" * 1000)
        told = r"trimtab\.db is no database of Trimtab's.* \(file is not a database\); move it away, or"
        with pytest.raises(StoreError, match=told):
            SqliteStore(path)

    def test_a_database_of_somebody_else(self, tmp_path: Path) -> None:
        path = tmp_path / "trimtab.db"
        with sqlite3.connect(path) as connection:
            connection.execute("CREATE TABLE theirs (value)")
        connection.close()
        with pytest.raises(StoreError, match=r"is no database of Trimtab's; move it away, or give another"):
            SqliteStore(path)
        with sqlite3.connect(path) as connection:
            assert connection.execute("SELECT name FROM sqlite_master").fetchall() == [("theirs",)]
        connection.close()

    def test_a_folder_that_cannot_be_made(self, tmp_path: Path) -> None:
        (tmp_path / "file").write_text("")
        with pytest.raises(StoreError, match="make the directory writable, or give another --dir"):
            SqliteStore(tmp_path / "file" / "trimtab.db")
