"""Norms of a sharded run: the root of the sum of every rank's squares, in ordinary trouble too."""

from __future__ import annotations

import math
import random
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trimtab_monitor.folding.exact_sum import ExactSum
from trimtab_monitor.folding.rank_set import MOST_RANKS, RankSet
from trimtab_monitor.folding.shards import MOST_STEPS, MOST_SUMS, ShardSums
from trimtab_monitor.types import Sample

WHOLE = "grad_norm_sq_shard"


def shard(rank: int, step: int = 1, values: dict[str, float] | None = None) -> Sample:
    return Sample(step, 10.0 * step + rank, values or {WHOLE: float(rank + 1)}, rank=rank)


def told(sums: ShardSums, *samples: Sample, world_size: int | None = 2) -> list[dict[str, float]]:
    return [dict(whole.values) for sample in samples for whole in sums.add(sample, world_size)]


def test_a_rank_that_sends_a_step_twice_does_not_count_for_another() -> None:
    sums = ShardSums()
    assert told(sums, shard(0), shard(0), shard(0)) == []
    assert told(sums, shard(1)) == [{"grad_norm": math.sqrt(3.0)}]


def test_layers_are_added_up_where_they_are_and_whole_when_all_ranks_are_heard() -> None:
    """As of a pipeline: a layer is on some of the ranks only."""
    sums = ShardSums()
    first = shard(0, values={WHOLE: 25.0, f"{WHOLE}/a": 9.0, f"{WHOLE}/b": 16.0})
    second = shard(1, values={WHOLE: 144.0, f"{WHOLE}/b": 9.0, "loss": 2.0})
    assert told(sums, first) == []
    assert told(sums, second) == [{"grad_norm": 13.0, "grad_norm/a": 3.0, "grad_norm/b": 5.0}]
    assert sums.waiting == {}
    assert sums.sums == 0


def test_norms_of_gradients_and_of_parameters_are_apart() -> None:
    sums = ShardSums()
    told(sums, shard(0, values={WHOLE: 9.0, "param_norm_sq_shard": 1.0}))
    assert told(sums, shard(1, values={WHOLE: 16.0})) == [{"grad_norm": 5.0}]
    assert told(sums, shard(1, values={"param_norm_sq_shard": 3.0})) == [{"param_norm": 2.0}]


@pytest.mark.parametrize(("bad", "norm"), [(math.inf, math.inf), (math.nan, math.nan), (-100.0, math.nan)])
def test_one_that_is_no_square_makes_the_norm_none(bad: float, norm: float) -> None:
    ((values),) = told(ShardSums(), shard(0, values={WHOLE: bad}), shard(1))
    assert values["grad_norm"] == pytest.approx(norm, nan_ok=True)


def test_where_the_number_of_ranks_is_not_told_it_is_that_of_those_heard() -> None:
    sums = ShardSums()
    assert told(sums, shard(2), world_size=None) == []
    assert told(sums, shard(0), shard(1), world_size=None) == [{"grad_norm": math.sqrt(6.0)}]
    assert told(ShardSums(), shard(0), world_size=None) == [{"grad_norm": 1.0}]


def test_a_rank_that_died_leaves_a_bounded_number_of_steps_waiting() -> None:
    sums = ShardSums()
    for step in range(1, 2 * MOST_STEPS):
        assert told(sums, shard(0, step)) == []
    assert len(sums.waiting) == sums.sums == MOST_STEPS
    assert told(sums, shard(1, 1)) == []
    assert told(sums, shard(1, 2 * MOST_STEPS - 1)) == [{"grad_norm": math.sqrt(3.0)}]


def test_many_layers_are_bounded_in_all_and_the_newest_step_is_kept() -> None:
    sums = ShardSums()
    names = [f"{WHOLE}/{i}" for i in range(MOST_SUMS // 4)]
    for step in range(1, 20):
        told(sums, shard(0, step, dict.fromkeys(names, 1.0)))
        assert sums.sums <= MOST_SUMS
    assert sorted(sums.waiting) == [16, 17, 18, 19]
    sums = ShardSums()
    told(sums, shard(0, 1, dict.fromkeys([f"{WHOLE}/{i}" for i in range(2 * MOST_SUMS)], 1.0)))
    assert list(sums.waiting) == [1]


def test_a_run_that_goes_back_begins_anew() -> None:
    sums = ShardSums()
    told(sums, shard(0), shard(5, 2))
    sums.clear()
    assert sums == ShardSums()
    assert told(sums, shard(1)) == []


def test_a_thousand_ranks_take_little_room() -> None:
    sums = ShardSums()
    for step in range(50):
        told(sums, *(shard(rank, step) for rank in range(999)), world_size=1000)
    assert len(msgspec.msgpack.encode(sums)) < 50 * 250


def test_ranks_are_counted_once_and_bounded() -> None:
    ranks = RankSet()
    added = [ranks.add(rank) for rank in (3, 3, 1000, MOST_RANKS, MOST_RANKS - 1)]
    assert added == [True, False, True, False, True]
    assert ranks.count == 3


@pytest.mark.parametrize("order", [(1e16, 1.0, -1e16), (-1e16, 1e16, 1.0), (1.0, 1e16, -1e16)])
def test_a_sum_is_exact_in_any_order(order: tuple[float, ...]) -> None:
    total = ExactSum()
    for value in order:
        total.add(value)
    assert total.value() == 1.0


@given(seed=st.integers(0, 2**32), ranks=st.integers(1, 12), steps=st.integers(1, 6))
def test_the_order_in_which_ranks_are_heard_changes_nothing(seed: int, ranks: int, steps: int) -> None:
    rng = random.Random(seed)

    def square() -> float:
        return rng.choice([1e-30, 1.0, 1e30]) * rng.random()

    rows = [
        shard(rank, step, {WHOLE: square(), f"{WHOLE}/a": square(), f"{WHOLE}/{rank % 2}": square()})
        for rank in range(ranks)
        for step in range(steps)
    ]
    shuffled = rng.sample(rows, len(rows)) + rng.choices(rows, k=3)
    one, other = ShardSums(), ShardSums()
    expected = [whole for row in rows for whole in one.add(row, ranks)]
    found: list[Any] = []
    for row in shuffled:
        other = msgspec.msgpack.decode(msgspec.msgpack.encode(other), type=ShardSums)
        found += other.add(row, ranks)
    first = {whole.step: whole for whole in reversed(found)}
    assert [first[step] for step in range(steps)] == expected
