"""What every store must do: the same suite over SQLite and memory."""

from __future__ import annotations

import sqlite3
import threading
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from trimtab.wire import Command
from trimtab_alerts.alert import Alert
from trimtab_alerts.outbox import Delivery
from trimtab_alerts.testing import OutboxContract, sample_delivery
from trimtab_monitor.entries import Draft, Registration
from trimtab_monitor.store.memory import MemoryStore
from trimtab_monitor.store.protocols import Commit, RunSnapshot, StaleCommit, Store, StoreUnavailable
from trimtab_monitor.store.sqlite import SqliteStore
from trimtab_monitor.store.sqlite_outbox import SqliteOutbox
from trimtab_monitor.summary import RunSummary
from trimtab_monitor.types import Incident


@pytest.fixture(params=["sqlite", "memory"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    opened: Store = SqliteStore(tmp_path / "trimtab.db") if request.param == "sqlite" else MemoryStore()
    yield opened
    opened.close()


def batch(run: str = "run", seq: int = 0, attempt: int = 0, rank: int = 0, body: bytes = b"b") -> Draft:
    return Draft("batch", 1.0, run, body, attempt, rank, seq)


def append(store: Store, draft: Draft) -> int:
    return store.log.append(draft).result().position


def summary(run: str, heard: float = 2.0, status: str = "running") -> RunSummary:
    return RunSummary(
        run=run,
        registration=Registration(project="gpt"),
        mode="off",
        status=status,  # type: ignore[arg-type]
        reason="",
        created=1.0,
        heard=heard,
        attempt=0,
        last_step=3,
        last_sample=2.0,
        latest={"loss": float("inf")},
        incidents_open={},
        incidents_total={},
        power_w={},
        energy=[],
        lost_steps=0,
        lost_seconds=0.0,
        rollbacks=0,
        samples_dropped=0,
        hook_errors=0,
        fold_errors=0,
    )


def snapshot(run: str, created: float = 1.0, heard: float = 2.0, live: bool = True) -> RunSnapshot:
    return RunSnapshot(run, created, heard, live, summary(run, heard), f"state of {run}".encode())


def incident(ordinal: int, state: str = "open") -> Incident:
    return Incident(
        id=f"run.{ordinal}",
        kind="loss_spike",
        severity="critical",
        metric="loss",
        start_step=1,
        detected_step=2,
        peak_step=2,
        end_step=None,
        state=state,  # type: ignore[arg-type]
        summary="the loss jumped",
        evidence={"score": float("inf"), "value": 3.5},
    )


def alert(ordinal: int, state: str = "firing") -> Alert:
    return Alert(
        id=f"alert-{ordinal}",
        run="run",
        incident=f"run.{ordinal}",
        kind="loss_spike",
        severity="critical",
        state=state,  # type: ignore[arg-type]
        summary="the loss jumped",
        starts_at=5.0,
    )


class TestLog:
    def test_it_gives_back_what_was_appended_in_order(self, store: Store) -> None:
        bodies = [bytes([i]) * i for i in range(1, 6)]
        positions = [append(store, batch(seq=i, body=body)) for i, body in enumerate(bodies)]
        records = store.log.read(after=0, limit=100)
        assert [record.body for record in records] == bodies
        assert [record.position for record in records] == positions == sorted(positions)
        assert store.log.end() == positions[-1]

    def test_reading_goes_on_behind_a_position_and_stops_at_the_limit(self, store: Store) -> None:
        positions = [append(store, batch(seq=i)) for i in range(5)]
        records = store.log.read(after=positions[1], limit=2)
        assert [record.position for record in records] == positions[2:4]
        assert store.log.read(after=positions[-1], limit=2) == []

    def test_a_batch_sent_twice_is_stored_once(self, store: Store) -> None:
        first = store.log.append(batch(seq=7)).result()
        again = store.log.append(batch(seq=7, body=b"other")).result()
        assert (first.duplicate, again.duplicate) == (False, True)
        assert again.position == first.position
        assert len(store.log.read(0, 10)) == 1

    def test_what_goes_with_an_entry_follows_it_though_that_is_there_already(self, store: Store) -> None:
        told = Draft("devices_held", 1.0, "other", b"told")
        for _ in range(2):
            appended = store.log.append(batch(seq=7), [told, told]).result()
            assert store.log.end() == appended.last > appended.position
        kinds = [record.kind for record in store.log.read(0, 10)]
        assert kinds == ["batch", *["devices_held"] * 4]

    def test_what_goes_with_an_entry_that_cannot_be_written_is_not_written_either(self, store: Store) -> None:
        wrong = Draft("devices_held", 1.0, "other", None)  # type: ignore[arg-type]
        if isinstance(store, MemoryStore):
            store.log.unavailable = "disk full"
        with pytest.raises((StoreUnavailable, sqlite3.Error)):
            store.log.append(batch(seq=7), [wrong]).result()
        assert store.log.read(0, 10) == []

    @pytest.mark.parametrize("change", [{"run": "other"}, {"attempt": 1}, {"rank": 1}, {"seq": 1}])
    def test_every_part_of_the_identity_counts(self, store: Store, change: dict[str, object]) -> None:
        append(store, batch())
        appended = store.log.append(replace(batch(), **change)).result()  # type: ignore[arg-type]
        assert not appended.duplicate

    def test_only_batches_have_an_identity(self, store: Store) -> None:
        for draft in (Draft("registered", 1.0, "run"), Draft("tick", 1.0)):
            assert append(store, draft) < append(store, draft)

    def test_batches_of_one_rank(self, store: Store) -> None:
        wanted = [append(store, batch(seq=i, rank=1)) for i in range(3)]
        for other in (batch(rank=0), batch(run="x", rank=1), Draft("registered", 1.0, "run", rank=1)):
            append(store, other)
        assert [r.position for r in store.log.read_batches("run", 1, 0, 10)] == wanted
        assert [r.position for r in store.log.read_batches("run", 1, wanted[0], 1)] == wanted[1:2]

    def test_ranks_that_sent_batches(self, store: Store) -> None:
        assert store.log.ranks("run") == []
        for rank in (7, 0, 7, 2**40):
            append(store, batch(seq=store.log.end(), rank=rank))
        append(store, batch(run="x", rank=1))
        append(store, Draft("registered", 1.0, "run", rank=3))
        assert store.log.ranks("run") == [0, 7, 2**40]

    def test_entries_of_one_run_come_with_those_of_no_run(self, store: Store) -> None:
        drafts = [
            Draft("registered", 1.0, "a"),
            Draft("tick", 2.0),
            batch("b"),
            batch("a"),
            Draft("tick", 3.0),
        ]
        at = [append(store, draft) for draft in drafts]
        assert [r.position for r in store.log.read_run("a", 0, at[3], 10)] == [at[0], at[1], at[3]]
        assert [r.position for r in store.log.read_run("a", at[0], at[4], 2)] == [at[1], at[3]]

    def test_known_runs_are_those_that_registered(self, store: Store) -> None:
        for draft in (Draft("registered", 1.0, "a"), Draft("registered", 1.0, "a"), batch("b")):
            append(store, draft)
        assert store.log.known_runs() == {"a"}

    def test_old_ticks_are_forgotten_and_their_positions_never_used_again(self, store: Store) -> None:
        kept = append(store, batch())
        ticks = [append(store, Draft("tick", float(time))) for time in (1, 2, 3)]
        store.log.forget_ticks(upto=ticks[2], before=3.0).result()
        assert [r.position for r in store.log.read(0, 10)] == [kept, ticks[2]]
        store.log.forget_ticks(upto=ticks[1], before=100.0).result()
        assert [r.position for r in store.log.read(0, 10)] == [kept, ticks[2]]
        store.log.forget_ticks(upto=ticks[2], before=100.0).result()
        assert append(store, batch(seq=1)) > ticks[2]

    def test_a_waiter_is_woken_by_an_append(self, store: Store) -> None:
        waiter = waiting(lambda: store.log.wait(after=0, timeout=60))
        append(store, batch())
        waiter.join(30)
        assert not waiter.is_alive()

    def test_nobody_waits_for_what_is_there(self, store: Store) -> None:
        append(store, batch())
        store.log.wait(after=0, timeout=3600)

    def test_a_waiter_can_be_woken(self, store: Store) -> None:
        waiter = waiting(lambda: store.log.wait(after=0, timeout=60))
        while waiter.is_alive():
            store.log.wake()
            waiter.join(0.01)


def waiting(call: Callable[[], None]) -> threading.Thread:
    thread = threading.Thread(target=call, daemon=True)
    thread.start()
    return thread


class TestState:
    def test_a_new_store_has_none(self, store: Store) -> None:
        assert (store.state.position(), store.state.load("run"), store.state.live()) == (0, None, [])

    def test_a_commit_is_there_in_whole(self, store: Store) -> None:
        delivery = sample_delivery()
        store.state.commit(
            Commit(
                after=0,
                position=9,
                runs=[snapshot("run")],
                incidents=[("run", incident(0))],
                commands=[("run", Command(id="c", kind="stop"))],
                alerts=[alert(0)],
                deliveries=[delivery],
            )
        ).result()
        assert (store.state.position(), store.state.load("run")) == (9, b"state of run")
        assert store.views.summary("run") == summary("run")
        assert store.views.incidents("run") == [incident(0)]
        assert store.views.commands("run") == [Command(id="c", kind="stop")]
        assert store.views.alert("alert-0") == alert(0)
        assert store.outbox.due("pager", 100.0, 10) == [delivery]

    def test_a_stale_commit_changes_nothing(self, store: Store) -> None:
        store.state.commit(Commit(0, 5, [snapshot("run")])).result()
        stale = Commit(0, 6, [snapshot("other")], [("run", incident(0))], deliveries=[sample_delivery()])
        with pytest.raises(StaleCommit):
            store.state.commit(stale).result()
        assert (store.state.position(), store.state.load("other")) == (5, None)
        assert (store.views.incidents("run"), store.outbox.depth()) == ([], 0)

    def test_live_runs(self, store: Store) -> None:
        store.state.commit(Commit(0, 1, [snapshot("a"), snapshot("b", live=False)])).result()
        assert store.state.live() == ["a"]
        store.state.commit(Commit(1, 2, [snapshot("a", live=False)])).result()
        assert store.state.live() == []

    def test_what_changed_takes_its_old_place(self, store: Store) -> None:
        commands = [("run", Command(id=name, kind="stop")) for name in ("a", "b")]
        incidents = [("run", incident(0)), ("run", incident(1))]
        store.state.commit(Commit(0, 1, [], incidents, commands, [alert(0), alert(1)])).result()
        applied = Command(id="a", kind="stop", state="applied")
        changed = Commit(
            1, 2, [], [("run", incident(0, "resolved"))], [("run", applied)], [alert(0, "resolved")]
        )
        store.state.commit(changed).result()
        assert store.views.incidents("run") == [incident(0, "resolved"), incident(1)]
        assert store.views.commands("run") == [applied, commands[1][1]]
        assert store.views.alerts(limit=10) == [alert(1), alert(0, "resolved")]


class TestViews:
    def test_newest_run_first(self, store: Store) -> None:
        runs = [snapshot("old", 1.0), snapshot("newest", 3.0), snapshot("new", 2.0)]
        store.state.commit(Commit(0, 1, runs)).result()
        assert [each.run for each in store.views.summaries()] == ["newest", "new", "old"]
        assert [each.run for each in store.views.summaries(limit=1)] == ["newest"]

    def test_runs_heard_since(self, store: Store) -> None:
        runs = [snapshot("a", heard=10.0), snapshot("b", heard=20.0)]
        store.state.commit(Commit(0, 1, runs)).result()
        assert [each.run for each in store.views.summaries(heard_since=20.0)] == ["b"]

    def test_unknown_things_are_none(self, store: Store) -> None:
        assert store.views.summary("nobody") is None
        assert store.views.alert("none") is None
        assert (store.views.incidents("nobody"), store.views.commands("nobody")) == ([], [])

    def test_only_pending_commands_wait(self, store: Store) -> None:
        states = ("pending", "advised", "applied", "refused", "expired", "pending")
        commands = [
            (f"run-{i}", Command(id=str(i), kind="stop", state=state))  # type: ignore[arg-type]
            for i, state in enumerate(states)
        ]
        store.state.commit(Commit(0, 1, commands=commands)).result()
        assert store.views.pending_commands() == [commands[0], commands[5]]

    def test_the_same_id_in_two_runs_is_two_things(self, store: Store) -> None:
        store.state.commit(Commit(0, 1, [], [("a", incident(0)), ("b", incident(0, "resolved"))])).result()
        assert store.views.incidents("a") == [incident(0)]
        assert store.views.incidents("b") == [incident(0, "resolved")]


class TestSqliteOutbox(OutboxContract[SqliteOutbox]):
    @pytest.fixture(autouse=True)
    def _stores(self, tmp_path: Path) -> Iterator[None]:
        self._path = tmp_path
        self._open: list[SqliteStore] = []
        yield
        for store in self._open:
            store.close()

    def outbox(self) -> SqliteOutbox:
        store = SqliteStore(self._path / f"{len(self._open)}.db")
        self._open.append(store)
        return store.outbox

    def add(self, outbox: SqliteOutbox, deliveries: Sequence[Delivery]) -> None:
        (state,) = [store.state for store in self._open if store.outbox is outbox]
        position = state.position()
        state.commit(Commit(position, position + 1, deliveries=deliveries)).result()
