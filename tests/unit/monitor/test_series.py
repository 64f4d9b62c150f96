"""Series: what a chart is given of a run, however it was sent and however few points there may be."""

from __future__ import annotations

import math
from array import array
from collections.abc import Sequence
from typing import Any

import msgspec
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trimtab import wire
from trimtab_monitor.entries import batch_draft
from trimtab_monitor.series.downsample import downsample
from trimtab_monitor.series.reader import SeriesReader
from trimtab_monitor.store.memory import MemoryStore

NAN = math.nan


def send(
    store: MemoryStore,
    steps: Sequence[int],
    values: Sequence[float | None],
    metric: str = "loss",
    **identity: int,
) -> wire.Batch:
    column = array("d", [wire.NOT_MEASURED if value is None else value for value in values])
    times = array("d", [1000.0 + step for step in steps])
    seq = store.log.end()
    batch = wire.Batch(
        rank=identity.get("rank", 0),
        seq=seq,
        attempt=identity.get("attempt", 0),
        step=array("q", steps),
        time=times,
        metrics={metric: column},
    )
    store.log.append(batch_draft("run", 0.0, batch, wire.encode(batch))).result()
    return batch


def read(store: MemoryStore, **query: Any) -> tuple[list[int], list[float]]:
    series = SeriesReader(store.log, 1 << 20).read("run", "loss", **query)
    return series["step"], series["value"]


def test_it_gives_back_what_was_sent() -> None:
    store = MemoryStore()
    send(store, [1, 2], [0.5, math.inf])
    send(store, [3], [-math.inf])
    series = SeriesReader(store.log, 1 << 20).read("run", "loss")
    assert series == {
        "metric": "loss",
        "step": [1, 2, 3],
        "time": [1001.0, 1002.0, 1003.0],
        "value": [0.5, math.inf, -math.inf],
        "attempt": [0, 0, 0],
    }


def test_a_row_without_the_metric_is_no_point_and_a_measured_nan_is_one() -> None:
    store = MemoryStore()
    send(store, [1, 2, 3], [0.5, None, NAN])
    steps, values = read(store)
    assert steps == [1, 3]
    assert math.isnan(values[1])


def test_an_unknown_metric_or_run_has_no_points() -> None:
    store = MemoryStore()
    send(store, [1], [0.5])
    reader = SeriesReader(store.log, 1 << 20)
    assert reader.read("run", "accuracy")["step"] == []
    assert reader.read("other", "loss")["step"] == []


def test_steps_are_chosen_with_both_ends() -> None:
    store = MemoryStore()
    send(store, range(1, 11), [float(i) for i in range(1, 11)])
    assert read(store, from_step=3, to_step=5)[0] == [3, 4, 5]


def test_where_attempts_overlap_the_newest_counts() -> None:
    store = MemoryStore()
    send(store, [1, 2, 3, 4], [1.0, 2.0, 9.0, 99.0])
    send(store, [2, 3], [2.5, 3.5], attempt=1)
    send(store, [3], [3.75], attempt=2)
    assert read(store) == ([1, 2, 3, 4], [1.0, 2.5, 3.75, 99.0])
    assert read(store, attempt="all") == ([1, 2, 3, 4, 2, 3, 3], [1.0, 2.0, 9.0, 99.0, 2.5, 3.5, 3.75])
    assert read(store, attempt=1) == ([2, 3], [2.5, 3.5])


def test_an_older_attempt_that_arrives_late_does_not_count() -> None:
    store = MemoryStore()
    send(store, [2, 3], [2.5, 3.5], attempt=1)
    send(store, [1, 2], [1.0, 2.0], attempt=0)
    assert read(store) == ([1, 2, 3], [1.0, 2.5, 3.5])


def test_ranks_are_apart() -> None:
    store = MemoryStore()
    send(store, [1], [1.0])
    send(store, [1], [2.0], rank=1)
    assert read(store)[1] == [1.0]
    assert read(store, rank=1)[1] == [2.0]


def test_without_a_rank_it_is_of_the_lowest_that_measured_it() -> None:
    store = MemoryStore()
    send(store, [1], [0.1], metric="accuracy", rank=2)
    send(store, [1], [3.0], rank=9)
    send(store, [1], [2.0], rank=7)
    assert read(store)[1] == [2.0]


def test_it_keeps_up_with_the_log() -> None:
    store = MemoryStore()
    reader = SeriesReader(store.log, 1 << 20)
    for step in range(1, 4):
        send(store, [step], [float(step)])
        assert reader.read("run", "loss")["step"] == list(range(1, step + 1))


def test_a_full_cache_forgets_and_reads_again() -> None:
    store = MemoryStore()
    send(store, [1, 2], [1.0, 2.0])
    send(store, [1, 2], [3.0, 4.0], rank=1)
    reader = SeriesReader(store.log, max_bytes=1)
    for _ in range(2):
        assert reader.read("run", "loss")["value"] == [1.0, 2.0]
        assert reader.read("run", "loss", rank=1)["value"] == [3.0, 4.0]


def test_single_precision_columns_are_read() -> None:
    store = MemoryStore()
    batch = wire.Batch(rank=0, seq=0, step=array("q", [1, 2]), time=array("d", [1.0, 2.0]))
    body = msgspec.msgpack.decode(wire.encode(batch))
    body["metrics"] = {"loss": array("f", [0.5, 0.25]).tobytes()}
    store.log.append(batch_draft("run", 0.0, batch, msgspec.msgpack.encode(body))).result()
    assert read(store) == ([1, 2], [0.5, 0.25])


class TestShards:
    def norms(self, store: MemoryStore, world_size: int = 2, **query: Any) -> dict[str, Any]:
        return SeriesReader(store.log, 1 << 20).read("run", "grad_norm", world_size=world_size, **query)

    def shards(self, store: MemoryStore, rank: int, values: Sequence[float], **identity: int) -> None:
        steps = range(1, len(values) + 1)
        send(store, steps, values, metric=wire.GRAD_NORM_SQ_SHARD, rank=rank, **identity)

    def test_they_are_added_up_where_all_are_there(self) -> None:
        store = MemoryStore()
        self.shards(store, 0, [9.0, 25.0, 1.0])
        self.shards(store, 1, [16.0, 144.0])
        told = self.norms(store)
        assert (told["step"], told["value"]) == ([1, 2], [5.0, 13.0])

    def test_attempts_are_kept_apart(self) -> None:
        store = MemoryStore()
        self.shards(store, 0, [9.0, 9.0])
        self.shards(store, 1, [16.0, 16.0])
        self.shards(store, 0, [36.0], attempt=1)
        self.shards(store, 1, [64.0], attempt=1)
        assert self.norms(store)["value"] == [10.0, 5.0]
        assert self.norms(store, attempt="all")["value"] == [5.0, 5.0, 10.0]

    def test_one_that_is_not_finite_is_seen(self) -> None:
        store = MemoryStore()
        self.shards(store, 0, [math.inf, 1.0])
        self.shards(store, 1, [1.0, NAN])
        infinite, nan = self.norms(store)["value"]
        assert infinite == math.inf
        assert math.isnan(nan)

    def test_while_a_rank_is_silent_there_is_no_norm(self) -> None:
        store = MemoryStore()
        self.shards(store, 0, [9.0])
        assert self.norms(store)["step"] == []

    def test_ranks_that_sent_nothing_are_not_looked_for(self) -> None:
        store = MemoryStore()
        self.shards(store, 0, [9.0])
        assert self.norms(store, world_size=2**62)["step"] == []

    def test_a_norm_that_is_told_goes_before(self) -> None:
        store = MemoryStore()
        self.shards(store, 0, [9.0])
        send(store, [1], [3.5], metric="grad_norm")
        assert self.norms(store, world_size=1)["value"] == [3.5]


class TestDownsample:
    @pytest.mark.parametrize("points", [1, 2, 4, 5, 7, 10, 100, 999])
    def test_at_most_so_many_points(self, points: int) -> None:
        noise = np.random.default_rng(0).normal(size=10_000)
        noise[[17, 5000]] = NAN
        assert len(downsample(noise, points)) <= points

    def test_one_nan_costs_one_point(self) -> None:
        noise = np.random.default_rng(0).normal(size=19_999)
        plain = len(downsample(noise, 1000))
        noise[5000] = NAN
        assert len(downsample(noise, 1000)) > 950
        assert abs(len(downsample(noise, 1000)) - plain) < 10

    def test_many_nans_leave_room_for_the_rest(self) -> None:
        values = np.random.default_rng(0).normal(size=10_000)
        values[::2] = NAN
        chosen = values[downsample(values, 100)]
        assert 20 <= np.isnan(chosen).sum() <= 33

    def test_few_values_stay_as_they_are(self) -> None:
        assert downsample(np.array([3.0, NAN, 1.0]), 3).tolist() == [0, 1, 2]

    @given(st.data())
    def test_no_spike_and_no_nan_is_hidden(self, data: st.DataObject) -> None:
        n = data.draw(st.integers(200, 3000))
        points = data.draw(st.integers(5, 150))
        up, down, nan = data.draw(st.lists(st.integers(0, n - 1), min_size=3, max_size=3, unique=True))
        values = np.random.default_rng(n).normal(size=n)
        values[up], values[down], values[nan] = 50.0, -50.0, NAN
        chosen = downsample(values, points)
        assert {up, down, nan} <= set(chosen.tolist())
        assert len(chosen) <= points
        assert np.all(np.diff(chosen) > 0)

    @given(st.lists(st.floats(), max_size=60), st.integers(1, 20))
    def test_any_values_at_all(self, numbers: list[float], points: int) -> None:
        values = np.array(numbers, dtype=np.float64)
        chosen = downsample(values, points)
        assert len(chosen) <= points
        assert len(chosen) > 0 or len(values) == 0
        if np.isnan(values).any():
            assert np.isnan(values[chosen]).any()
        elif points >= 2 and len(values):
            assert values[chosen].max() == values.max()

    def test_the_ends_are_kept(self) -> None:
        chosen = downsample(np.sin(np.arange(1000.0)), 20)
        assert (chosen[0], chosen[-1]) == (0, 999)

    def test_infinities_are_extremes(self) -> None:
        values = np.zeros(1000)
        values[[333, 666]] = math.inf, -math.inf
        assert {333, 666} <= set(downsample(values, 10).tolist())
