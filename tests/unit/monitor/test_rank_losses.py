"""The loss over all ranks, told as three numbers of the whole run."""

from __future__ import annotations

import math
import random

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trimtab_monitor.folding.rank_losses import MOST_STEPS, RankLosses
from trimtab_monitor.types import Sample


def loss(rank: int, value: float, step: int = 1) -> Sample:
    return Sample(step, 10.0 * step + rank, {"loss": value, "lr": 0.1}, rank=rank)


def told(losses: RankLosses, *samples: Sample, world_size: int | None = 3) -> list[tuple[float, ...]]:
    found = [losses.add(sample, world_size) for sample in samples]
    return [(whole.step, *whole.values.values()) for whole in found if whole is not None]


def test_mean_lowest_and_highest_are_told_once_all_ranks_are_heard() -> None:
    losses = RankLosses()
    whole = [losses.add(loss(rank, value), 3) for rank, value in enumerate((4.0, 1.0, 4.0))]
    assert whole[:2] == [None, None]
    assert whole[2] == Sample(1, 12.0, {"loss/mean": 3.0, "loss/min": 1.0, "loss/max": 4.0})
    assert losses.waiting == {}


def test_a_rank_counts_once() -> None:
    losses = RankLosses()
    assert told(losses, loss(0, 1.0), loss(0, 9.0), loss(1, 2.0), loss(2, 3.0)) == [(1, 2.0, 1.0, 3.0)]


def test_of_a_run_of_one_rank_nothing_is_told_or_kept() -> None:
    losses = RankLosses()
    assert told(losses, loss(0, 1.0), loss(0, 1.0, 2), world_size=1) == []
    assert losses == RankLosses()


@pytest.mark.parametrize("bad", [math.nan, math.inf])
def test_one_that_is_not_finite_is_seen(bad: float) -> None:
    ((_, mean, lowest, highest),) = told(RankLosses(), loss(0, 1.0), loss(1, bad), loss(2, 1.0))
    assert [mean, highest] == pytest.approx([bad, bad], nan_ok=True)
    assert lowest == pytest.approx(bad if math.isnan(bad) else 1.0, nan_ok=True)


def test_where_not_all_ranks_send_a_loss_a_step_is_told_once_enough_later_ones_wait() -> None:
    losses = RankLosses()
    for step in range(1, MOST_STEPS + 1):
        assert told(losses, loss(2, 1.0, step), loss(3, 3.0, step), world_size=4) == []
    assert told(losses, loss(2, 1.0, MOST_STEPS + 1), world_size=4) == [(1, 2.0, 1.0, 3.0)]
    assert len(losses.waiting) == MOST_STEPS


def test_a_single_rank_that_sends_one_is_no_spread() -> None:
    losses = RankLosses()
    for step in range(3 * MOST_STEPS):
        assert told(losses, loss(3, 1.0, step), world_size=4) == []
    assert len(losses.waiting) == MOST_STEPS


def test_what_comes_after_its_step_was_told_is_late() -> None:
    losses = RankLosses()
    told(losses, loss(0, 1.0, 1), *(loss(rank, 1.0, 2) for rank in range(3)))
    assert told(losses, *(loss(rank, 1.0, 1) for rank in range(3))) == []
    losses.clear()
    assert told(losses, *(loss(rank, 1.0, 1) for rank in range(3))) == [(1, 1.0, 1.0, 1.0)]


@given(seed=st.integers(0, 2**32), ranks=st.integers(2, 12))
def test_the_order_in_which_ranks_are_heard_changes_nothing(seed: int, ranks: int) -> None:
    rng = random.Random(seed)
    rows = [loss(rank, rng.lognormvariate(0, 20)) for rank in range(ranks)]
    losses = RankLosses()
    found = []
    for row in rng.sample(rows, ranks):
        losses = msgspec.msgpack.decode(msgspec.msgpack.encode(losses), type=RankLosses)
        found += told(losses, row, world_size=ranks)
    assert found == told(RankLosses(), *rows, world_size=ranks)
