"""However a run is cut, whatever is sent twice, whenever the collector dies: the same comes of it."""

from __future__ import annotations

import itertools
import random
from collections.abc import Iterator
from dataclasses import dataclass, replace

from hypothesis import given, settings
from hypothesis import strategies as st

from trimtab import wire
from trimtab_monitor.folding.engine import Engine
from trimtab_monitor.settings import Settings, StorageSettings
from trimtab_monitor.testing import Story, batches_of
from trimtab_monitor.testing.dying import DyingStore
from trimtab_monitor.testing.reference import (
    NobodyListens,
    append,
    fold_in_one,
    outcome,
    register,
    rolled_back,
)

SETTINGS = Settings(storage=StorageSettings(snapshot_every_s=1e-4))

BEFORE = Story(steps=150, seed=3, spikes=(100,), nans=(60,), rollback="auto", checkpoint_every=10)
AFTER = Story(steps=140, seed=4, spikes=(170,))
ATTEMPTS = rolled_back(BEFORE, AFTER, SETTINGS)


def cut(sizes: Iterator[int]) -> list[wire.Batch]:
    """The run in batches of so many rows."""
    return [batch for i, story in enumerate(ATTEMPTS) for batch in batches_of(story, sizes, attempt=i)]


WHOLE = cut(itertools.repeat(10_000))
REFERENCE = fold_in_one(WHOLE, SETTINGS)
EXPECTED = outcome(REFERENCE)


@dataclass
class Life:
    """A collector on a store; `die` and it is gone, `Life` again on the same store and it is back."""

    store: DyingStore

    def __post_init__(self) -> None:
        self.store.state.dead = False
        self.engine = Engine(self.store, SETTINGS, listener=NobodyListens(), on_crash=self._crashed)
        self.engine.start()

    def die(self) -> None:
        self.store.state.dead = True
        self.engine.stop()

    def end(self) -> None:
        self.engine.stop()
        assert self.engine.committed.position == self.store.log.end()

    def _crashed(self, name: str, error: BaseException) -> None:
        raise AssertionError(name) from error


def sizes(rng: random.Random, largest: int) -> Iterator[int]:
    while True:
        yield rng.randint(1, largest)


def test_the_run_has_what_there_is_to_lose() -> None:
    kinds = {incident["kind"] for incident in EXPECTED["incidents"]}
    assert kinds == {"non_finite", "loss_spike"}
    assert [each["state"] for each in EXPECTED["commands"]] == ["applied", "pending"]
    assert EXPECTED["ledger"]["lost_work"]["steps"] > 0
    assert EXPECTED["ledger"]["energy"]["joules"] > 0
    assert REFERENCE.outbox.depth() > 3


@settings(max_examples=40, deadline=None)
@given(seed=st.integers(0, 2**32), largest=st.sampled_from([1, 3, 20, 200]), deaths=st.integers(0, 4))
def test_the_same_comes_of_it(seed: int, largest: int, deaths: int) -> None:
    rng = random.Random(seed)
    batches = cut(sizes(rng, largest))
    dies_at = set(rng.choices(range(len(batches)), k=deaths))
    store = DyingStore()
    register(store)
    life = Life(store)
    for i, batch in enumerate(batches):
        append(store, [batch, *rng.choices(batches[: i + 1], k=rng.choice([0, 0, 1, 2]))])
        if i in dies_at:
            life.die()
            life = Life(store)
    life.end()
    assert outcome(store) == EXPECTED
    assert store.outbox.depth() == REFERENCE.outbox.depth()


def test_a_state_of_another_version_is_folded_anew_from_the_log() -> None:
    store = DyingStore()
    register(store)
    append(store, WHOLE)
    Life(store).end()
    store.tables.runs["run"] = replace(store.tables.runs["run"], state=b"of another version")
    append(store, [wire.Batch(rank=0, seq=999, attempt=1)])
    Life(store).end()
    assert outcome(store) == EXPECTED
