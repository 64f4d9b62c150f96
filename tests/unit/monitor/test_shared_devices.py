"""Two runs of one collector on one device, from the door to their ledgers, whenever that dies."""

from __future__ import annotations

import random
from array import array
from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import accumulate
from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from trimtab import wire
from trimtab_monitor.entries import DevicesHeld, Registration, draft_of, entry_of
from trimtab_monitor.folding.engine import Engine
from trimtab_monitor.folding.run_state import unpack
from trimtab_monitor.intake.holders import Holders
from trimtab_monitor.intake.intake import Intake
from trimtab_monitor.intake.recall import recall_holders
from trimtab_monitor.ledger.testing import T0, device
from trimtab_monitor.report.store_source import StoreSource
from trimtab_monitor.settings import Settings, StorageSettings
from trimtab_monitor.store.protocols import Store, StoreUnavailable
from trimtab_monitor.store.sqlite import STORE_FILE, SqliteStore
from trimtab_monitor.testing.dying import DyingStore
from trimtab_monitor.testing.reference import NobodyListens

SETTINGS = Settings(storage=StorageSettings(snapshot_every_s=0.05))
SECONDS = 24
COUNTS = [0, *accumulate(100_001 * (second % 5 + 1) for second in range(SECONDS))]
SPANS = {"a": (0, 20), "b": (8, 24), "c": (4, 12)}


def batch(seq: int, seconds: Sequence[int], *events: dict[str, object]) -> wire.Batch:
    reading = device(list(seconds), counter=[COUNTS[second] for second in seconds])
    return wire.Batch(rank=0, seq=seq, devices=[reading] if seconds else [], events=events)


@dataclass
class Collector:
    """The door and the fold on a store; `die` and all that is in memory is gone."""

    store: Store
    now: float = T0 + 100
    engine: Engine = field(init=False)
    intake: Intake = field(init=False)

    def __post_init__(self) -> None:
        holders, untold = recall_holders(self.store, SETTINGS, self.now)
        self.intake = Intake(self.store.log, lambda: self.now, holders)
        for each in untold:
            self.intake.append(draft_of(each)).result()
        self.engine = Engine(self.store, SETTINGS, listener=NobodyListens(), on_crash=_crashed)
        self.engine.start()

    def register(self, *runs: str) -> None:
        for run in runs:
            self.intake.register(run, Registration(project="gpt")).result()

    def send(self, run: str, sent: wire.Batch) -> None:
        self.intake.append_batch(run, sent, wire.encode(sent)).result()

    def end(self) -> None:
        self.now += 1_000
        self.intake.lapse()
        self.engine.stop()

    def millijoules(self, *runs: str) -> dict[str, float]:
        states = {run: self.store.state.load(run) for run in runs}
        return {
            run: (unpack(packed).ledger.totals().joules or 0) * 1000
            for run, packed in states.items()
            if packed
        }


def _crashed(name: str, error: BaseException) -> None:
    raise AssertionError(name) from error


def told(store: Store) -> list[str]:
    records = store.log.read(0, 10_000)
    return [entry.run for entry in map(entry_of, records) if isinstance(entry, DevicesHeld)]


def test_whoever_was_answered_sees_the_ledgers_of_all_divided() -> None:
    collector = Collector(DyingStore())
    collector.register("a", "b")
    collector.send("a", batch(0, range(11)))
    collector.send("b", batch(0, range(11)))
    collector.engine.refresh(10)
    whole = COUNTS[10]
    assert collector.millijoules("a", "b") == {"a": whole / 2, "b": whole / 2}
    collector.end()


def test_a_run_alone_has_no_entry_of_the_kind() -> None:
    collector = Collector(DyingStore())
    collector.register("a")
    for second in range(SECONDS):
        collector.send("a", batch(second, [second]))
    collector.end()
    assert told(collector.store) == []


def test_two_runs_are_told_of_each_other_once_and_of_the_end() -> None:
    collector = Collector(DyingStore())
    collector.register("a", "b")
    for second in range(SECONDS):
        for run in ("a", "b"):
            collector.send(run, batch(second, [second]))
    collector.send("b", batch(SECONDS, [], {"kind": "run_end", "time": T0 + SECONDS}))
    collector.end()
    assert sorted(told(collector.store)) == ["a", "a", "b"]


def test_what_could_not_be_written_is_told_with_the_next_batch() -> None:
    store = DyingStore()
    collector = Collector(store)
    collector.register("a", "b")
    collector.send("a", batch(0, range(11)))
    store.log.unavailable = "disk full"
    try:
        collector.send("b", batch(0, range(11)))
    except StoreUnavailable:
        store.log.unavailable = None
    collector.send("b", batch(0, range(11)))
    collector.end()
    assert collector.millijoules("a", "b") == {"a": COUNTS[10] / 2, "b": COUNTS[10] / 2}


def pieces(rng: random.Random) -> list[tuple[str, wire.Batch]]:
    """The readings of three runs, cut and mixed, each run's in order."""
    left = {run: list(range(first, last + 1)) for run, (first, last) in SPANS.items()}
    made: list[tuple[str, wire.Batch]] = []
    while left:
        run = rng.choice(sorted(left))
        size = rng.randint(1, 8)
        made.append((run, batch(len(made), left[run][:size])))
        left[run] = left[run][size:]
        if not left[run]:
            del left[run]
    return made


@settings(max_examples=10, deadline=None)
@given(st.integers(0, 2**32))
def test_a_collector_that_dies_again_and_again_divides_the_same(seed: int) -> None:
    rng = random.Random(seed)
    store = DyingStore()
    collector = Collector(store)
    collector.register(*SPANS)
    for run, sent in pieces(rng):
        collector.send(run, sent)
        if rng.random() < 0.2:
            store.state.dead = rng.random() < 0.7
            collector.engine.stop()
            store.state.dead = False
            collector = Collector(store)
            collector.send(run, sent)  # it was not answered
    collector.end()
    told_ = collector.millijoules(*SPANS)
    assert told_ == expected()
    assert round(sum(told_.values()), 6) == COUNTS[SECONDS]


def expected() -> dict[str, float]:
    """Second by second, each that holds the device then has the same part; to the microjoule by name."""
    groups: dict[tuple[str, ...], int] = {}
    for second in range(SECONDS):
        holders = tuple(run for run, (first, last) in SPANS.items() if first <= second < last)
        groups[holders] = groups.get(holders, 0) + (COUNTS[second + 1] - COUNTS[second]) * 1000
    own = dict.fromkeys(SPANS, 0)
    for holders, uj in groups.items():
        for index, run in enumerate(sorted(holders)):
            of = len(holders)
            own[run] += uj * (index + 1) // of - uj * index // of
    return {run: uj / 1000 for run, uj in own.items()}


def test_the_store_that_is_left_tells_the_same(tmp_path: Path) -> None:
    store = SqliteStore(tmp_path / STORE_FILE)
    collector = Collector(store)
    collector.register("a", "b")
    rows = wire.Batch(rank=0, seq=9, step=array("q", [1]), time=array("d", [T0]), metrics={})
    collector.send("a", rows)
    collector.engine.stop()
    for run in ("a", "b"):
        collector.send(run, batch(0, range(11)))  # nobody folds it any more
    store.close()
    source = StoreSource(tmp_path / STORE_FILE, SETTINGS)
    joules = [source.view(run).ledger["energy"]["joules"] for run in ("a", "b")]
    source.close()
    assert joules == [COUNTS[10] / 2000, COUNTS[10] / 2000]


def test_the_door_forgets_devices_that_nobody_reads() -> None:
    holders = Holders()
    for run in ("a", "b"):
        holders.notice(run, batch(0, range(11)), T0)
    holders.lapse(T0 + 3 * 86_400)
    assert holders.notice("c", batch(0, range(11)), T0 + 3 * 86_400) == []


def test_a_start_at_no_time_at_all_is_passed_over() -> None:
    for time in (float("nan"), float("inf"), -1.0):
        assert Holders().notice("a", batch(0, range(11), {"kind": "run_start", "time": time}), T0) == []
