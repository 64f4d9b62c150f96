"""Series over all ranks: mean, lowest and highest of a metric; norms made of shards."""

from __future__ import annotations

import math
import random
from array import array
from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trimtab import wire
from trimtab_monitor.entries import batch_draft
from trimtab_monitor.series import spread
from trimtab_monitor.series.reader import SeriesReader
from trimtab_monitor.store.memory import MemoryStore


def send(
    store: MemoryStore, rank: int, values: Mapping[int, float], metric: str = "loss", attempt: int = 0
) -> None:
    batch = wire.Batch(
        rank=rank,
        seq=store.log.end(),
        attempt=attempt,
        step=array("q", values),
        time=array("d", [100.0 * step + rank for step in values]),
        metrics={metric: array("d", values.values())},
    )
    store.log.append(batch_draft("run", 0.0, batch, wire.encode(batch))).result()


def read(reader: SeriesReader | MemoryStore, metric: str, **query: Any) -> dict[int, float]:
    if isinstance(reader, MemoryStore):
        reader = SeriesReader(reader.log, 1 << 20)
    told = reader.read("run", metric, **query)
    return dict(zip(told["step"], told["value"], strict=True))


def test_mean_lowest_and_highest_are_over_the_ranks_that_sent_the_step() -> None:
    store = MemoryStore()
    send(store, 0, {1: 1.0, 2: 5.0})
    send(store, 1, {1: 3.0, 3: 7.0})
    assert read(store, "loss/mean") == {1: 2.0, 2: 5.0, 3: 7.0}
    assert read(store, "loss/min") == {1: 1.0, 2: 5.0, 3: 7.0}
    assert read(store, "loss/max") == {1: 3.0, 2: 5.0, 3: 7.0}
    assert SeriesReader(store.log, 1 << 20).read("run", "loss/max")["time"] == [101.0, 200.0, 301.0]


def test_any_metric_may_be_asked_for_so_and_one_that_a_rank_sends_by_that_name_goes_before() -> None:
    store = MemoryStore()
    send(store, 0, {1: 1.0}, metric="expert_share/a.max")
    send(store, 1, {1: 2.0}, metric="expert_share/a.max")
    send(store, 1, {1: 9.0}, metric="loss/mean")
    assert read(store, "expert_share/a.max/max") == {1: 2.0}
    assert read(store, "loss/mean") == {1: 9.0}
    assert read(store, "accuracy/mean") == read(store, "/mean") == {}


def test_a_rank_by_itself_has_no_mean() -> None:
    store = MemoryStore()
    send(store, 0, {1: 1.0})
    assert read(store, "loss/mean", rank=0) == {}


def test_it_keeps_up_with_the_log_in_whatever_pieces() -> None:
    store = MemoryStore()
    reader = SeriesReader(store.log, 1 << 20)
    for step in range(1, 5):
        for rank in range(3):
            send(store, rank, {step: float(rank)})
            assert read(reader, "loss/mean")[step] == rank / 2
    assert read(reader, "loss/max") == dict.fromkeys(range(1, 5), 2.0)


def test_attempts_are_kept_apart() -> None:
    store = MemoryStore()
    for rank in range(2):
        send(store, rank, {1: 1.0, 2: 2.0 + rank})
        send(store, rank, {2: 5.0 + rank}, attempt=1)
    assert read(store, "loss/max") == {1: 1.0, 2: 6.0}
    assert read(store, "loss/max", attempt=0) == {1: 1.0, 2: 3.0}


def test_what_a_rank_sends_twice_counts_once() -> None:
    store = MemoryStore()
    send(store, 0, {1: 1.0})
    send(store, 0, {1: 1.0})
    send(store, 1, {1: 4.0})
    assert read(store, "loss/mean") == {1: 2.5}


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_one_that_is_not_finite_is_seen(bad: float) -> None:
    store = MemoryStore()
    send(store, 0, {1: 1.0})
    send(store, 1, {1: bad})
    assert read(store, "loss/mean")[1] == pytest.approx(bad, nan_ok=True)
    assert read(store, "loss/max")[1] == pytest.approx(bad, nan_ok=True)


def test_many_rows_are_put_together_a_part_at_a_time() -> None:
    store = MemoryStore()
    for rank in range(4):
        send(store, rank, {step: float(rank) for step in range(50)})
    columns = spread.SpreadColumns("loss", most_rows=60)
    columns.catch_up(store.log, "run")
    assert columns.spread.count.tolist() == [4] * 50
    assert columns.spread.total.tolist() == [6.0] * 50


@given(seed=st.integers(0, 2**32))
def test_the_order_of_the_ranks_batches_changes_nothing(seed: int) -> None:
    rng = random.Random(seed)
    batches = [
        (rank, {step: float(rank * step) for step in range(5 * part, 5 * part + 5)})
        for rank in range(4)
        for part in range(3)
    ]
    one, other = MemoryStore(), MemoryStore()
    for rank, values in batches:
        send(one, rank, values)
    for rank, values in rng.sample(batches, len(batches)):
        send(other, rank, values)
    for ending in spread.ENDINGS:
        assert read(one, "loss" + ending) == read(other, "loss" + ending)


def test_a_layer_is_made_of_the_shards_of_the_ranks_that_have_it() -> None:
    store = MemoryStore()
    send(store, 0, {1: 9.0}, metric="grad_norm_sq_shard/a")
    send(store, 1, {1: 16.0}, metric="grad_norm_sq_shard/a")
    send(store, 2, {1: 1.0}, metric="grad_norm_sq_shard/b")
    send(store, 0, {1: 4.0}, metric="param_norm_sq_shard")
    assert read(store, "grad_norm/a", world_size=3) == {1: 5.0}
    assert read(store, "grad_norm/b", world_size=3) == {1: 1.0}
    assert read(store, "param_norm", world_size=3) == {}
    for rank in (1, 2):
        send(store, rank, {1: 6.0}, metric="param_norm_sq_shard")
    assert read(store, "param_norm", world_size=3) == {1: 4.0}
