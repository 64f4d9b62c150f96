"""The fold at work when something is wrong: a bug, a full disk, an entry that nobody can read."""

from __future__ import annotations

import time
from array import array
from collections.abc import Callable
from concurrent.futures import Future

import pytest

from trimtab import wire
from trimtab_monitor.entries import BatchReceived, Draft, Entry, Registered, Registration, Tick, draft_of
from trimtab_monitor.folding.effects import Effects
from trimtab_monitor.folding.engine import Engine
from trimtab_monitor.folding.fold import fold
from trimtab_monitor.folding.run_state import RunState
from trimtab_monitor.settings import Settings, StorageSettings
from trimtab_monitor.store.memory import MemoryState, MemoryStore
from trimtab_monitor.store.protocols import Commit, StoreUnavailable
from trimtab_monitor.testing.reference import NobodyListens

SETTINGS = Settings(storage=StorageSettings(snapshot_every_s=3600))


class ToldOfCrashes:
    """Notes who crashed."""

    def __init__(self) -> None:
        self.names: list[str] = []

    def __call__(self, name: str, error: BaseException) -> None:
        self.names.append(f"{name}: {type(error).__name__}")


def register(store: MemoryStore, run: str) -> int:
    return store.log.append(draft_of(Registered(1.0, run, Registration(project="gpt")))).result().position


def send(store: MemoryStore, run: str, step: int) -> int:
    batch = wire.Batch(rank=0, seq=step, step=array("q", [step]), time=array("d", [float(step)]))
    return store.log.append(draft_of(BatchReceived(1.0, run, batch))).result().position


def engine_on(
    store: MemoryStore,
    crashes: ToldOfCrashes | None = None,
    fold_one: Callable[[RunState, Entry, Settings], Effects] = fold,
) -> Engine:
    engine = Engine(
        store, SETTINGS, listener=NobodyListens(), on_crash=crashes or ToldOfCrashes(), fold_one=fold_one
    )
    engine.start()
    return engine


def last_step(store: MemoryStore, run: str) -> int:
    summary = store.views.summary(run)
    assert summary is not None
    return summary.last_step


def faulty(state: RunState, entry: Entry, settings: Settings) -> Effects:
    """A fold with a bug at step 2 of run `bad`."""
    effects = fold(state, entry, settings)
    if isinstance(entry, BatchReceived) and entry.run == "bad" and list(entry.batch.step) == [2]:
        raise ZeroDivisionError("a bug")
    return effects


def test_a_bug_costs_one_entry_of_one_run() -> None:
    store, crashes = MemoryStore(), ToldOfCrashes()
    for run in ("bad", "good"):
        register(store, run)
        for step in (1, 2, 3):
            send(store, run, step)
    engine = engine_on(store, crashes, faulty)
    engine.stop()
    assert (engine.errors, crashes.names) == (1, [])
    assert (last_step(store, "bad"), last_step(store, "good")) == (3, 3)
    told = [store.views.summary(run) for run in ("bad", "good")]
    assert [summary and summary.fold_errors for summary in told] == [1, 0]


def test_a_bug_at_the_end_leaves_the_run_where_it_was() -> None:
    store = MemoryStore()
    register(store, "bad")
    for step in (1, 2):
        send(store, "bad", step)
    engine_on(store, fold_one=faulty).stop()
    assert last_step(store, "bad") == 1


def test_a_state_that_cannot_be_written_costs_the_entry_that_made_it_so() -> None:
    """A step beyond what 64 bits hold, when it is counted down by one."""
    store, crashes = MemoryStore(), ToldOfCrashes()
    register(store, "run")
    send(store, "run", 1)
    lowest = wire.Batch(rank=0, seq=9, attempt=1, step=array("q", [wire.INT64_MIN]), time=array("d", [2.0]))
    store.log.append(draft_of(BatchReceived(1.0, "run", lowest))).result()
    send(store, "run", 3)
    engine = engine_on(store, crashes)
    engine.stop()
    assert (engine.errors, crashes.names) == (1, [])
    assert last_step(store, "run") == 3
    assert store.state.position() == store.log.end()


def test_what_nobody_can_read_is_skipped() -> None:
    store = MemoryStore()
    register(store, "run")
    store.log.append(Draft("batch", 1.0, "run", b"\xc1garbage")).result()
    send(store, "nobody", 1)
    send(store, "run", 5)
    engine = engine_on(store)
    engine.stop()
    assert engine.errors == 2
    assert last_step(store, "run") == 5
    assert store.state.position() == store.log.end()


def test_who_asks_sees_what_was_there_before_he_asked() -> None:
    store = MemoryStore()
    register(store, "run")
    engine = engine_on(store)
    for step in range(1, 50):
        send(store, "run", step)
        engine.refresh(30)
        assert last_step(store, "run") == step
    engine.stop()


def test_without_effects_nothing_is_written_until_it_is_time_or_somebody_asks() -> None:
    store = MemoryStore()
    register(store, "run")
    engine = engine_on(store)
    engine.refresh(30)
    committed = store.state.position()
    assert engine.progress.wait(send(store, "run", 1), 30)
    assert store.state.position() == committed
    engine.stop()
    assert store.state.position() == store.log.end()


def test_a_tick_writes_no_run_that_it_does_not_change() -> None:
    store = MemoryStore()
    register(store, "run")
    engine_on(store).stop()
    before = store.tables.runs["run"]
    store.log.append(draft_of(Tick(2.0))).result()
    engine_on(store).stop()
    assert store.state.position() == store.log.end()
    assert store.tables.runs["run"] is before


class FullState(MemoryState):
    """The state on a disk that is full for a while."""

    refusals = 0

    def commit(self, commit: Commit) -> Future[None]:
        if self.refusals == 0:
            return super().commit(commit)
        self.refusals -= 1
        future: Future[None] = Future()
        future.set_exception(StoreUnavailable("disk full"))
        return future


def test_a_full_disk_is_waited_for() -> None:
    store = MemoryStore()
    state = FullState(store.tables, store.outbox)
    store.state = state
    state.refusals = 1
    at = register(store, "run")
    engine = engine_on(store)
    assert engine.progress.wait(at, 30)
    assert store.state.position() == at
    engine.stop()


def test_commands_are_known_only_once_they_are_committed() -> None:
    store = MemoryStore()
    store.state.commit(Commit(0, 0, commands=[("run", wire.Command(id="c", kind="stop"))])).result()
    engine = engine_on(store)
    assert engine.commands_of("run") == [wire.Command(id="c", kind="stop")]
    assert engine.commands_of("other") == []
    engine.stop()


def test_a_second_collector_on_the_same_state_ends_the_first() -> None:
    store, crashes = MemoryStore(), ToldOfCrashes()
    register(store, "run")
    engine = engine_on(store, crashes)
    engine.refresh(30)
    position = store.state.position()
    store.state.commit(Commit(position, position + 100)).result()
    register(store, "other")
    deadline = time.monotonic() + 30
    while engine.is_alive():
        assert time.monotonic() < deadline
        time.sleep(0.01)
    assert crashes.names == ["fold: StaleCommit"]


@pytest.mark.parametrize("runs", [1, 300])
def test_many_runs_at_once(runs: int) -> None:
    store = MemoryStore()
    for number in range(runs):
        register(store, f"run-{number}")
    for number in range(runs):
        send(store, f"run-{number}", number + 1)
    engine = engine_on(store)
    engine.stop()
    assert [last_step(store, f"run-{number}") for number in range(runs)] == list(range(1, runs + 1))
    assert engine.live == runs


def test_who_asks_while_others_are_served_is_served_next() -> None:
    """What he asks for came after the fold had read the log, and before it commits what it read."""
    store = MemoryStore()
    register(store, "r")

    def asked_meanwhile(state: RunState, entry: Entry, settings: Settings) -> Effects:
        if isinstance(entry, BatchReceived) and list(entry.batch.step) == [1]:
            send(store, "r", 2)
            engine.refresh(0.0)
        return fold(state, entry, settings)

    send(store, "r", 1)
    crashes = ToldOfCrashes()
    engine = Engine(store, SETTINGS, listener=NobodyListens(), on_crash=crashes, fold_one=asked_meanwhile)
    engine.start()
    assert engine.committed.wait(3, 10.0)
    assert last_step(store, "r") == 2
    engine.stop()
    assert crashes.names == []
