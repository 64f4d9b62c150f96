"""Which rank the others wait for: told when it lasts, and never because all are slow."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Iterator, Mapping

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trimtab.wire import OWN_SECONDS
from trimtab_monitor.detectors import DetectorSet
from trimtab_monitor.detectors.pace import MAX_RANKS, Paces
from trimtab_monitor.detectors.straggler import Straggler, StragglerSettings
from trimtab_monitor.types import Finding, Sample

Slowness = Callable[[int, int], float]
"""By what a rank's seconds are multiplied at a step."""


def even(rank: int, step: int) -> float:
    return 1.0


def slow_rank(rank: int, factor: float, start: int = 200) -> Slowness:
    return lambda r, step: factor if r == rank and step >= start else 1.0


def job(
    ranks: int,
    steps: int,
    slowness: Slowness = even,
    *,
    seed: int = 0,
    step_seconds: float = 1.0,
    batch: int = 1,
    metric: str = OWN_SECONDS,
    first_step: int = 1,
) -> Iterator[Sample]:
    """A synchronous job with lognormal noise, a slow begin, single outliers and a pause every 100 steps.

    Ranks send `batch` steps at a time, in an order that differs from batch to batch.
    """
    rng, time = random.Random(seed), 1.7e9
    rows: list[tuple[int, float, list[float]]] = []
    for step in range(first_step, first_step + steps):
        common = (30.0 / step if step < 4 else 1.0) * (20.0 if step % 100 == 0 else 1.0)
        seconds = [
            step_seconds
            * common
            * slowness(rank, step)
            * rng.lognormvariate(0, 0.1)
            * (10 if rng.random() < 0.002 else 1)
            for rank in range(ranks)
        ]
        time += max(seconds)
        rows.append((step, time, seconds))
    for first in range(0, len(rows), batch):
        for rank in rng.sample(range(ranks), ranks):
            for step, at, seconds in rows[first : first + batch]:
                yield Sample(step, at, {metric: seconds[rank]}, rank=rank)


def findings(samples: Iterator[Sample], detector: Straggler | None = None) -> list[Finding]:
    detector = Straggler() if detector is None else detector
    return [found for sample in samples if (found := detector.update(sample)) is not None]


@pytest.mark.parametrize("ranks", [2, 3, 4, 8, 64])
@pytest.mark.parametrize("factor", [1.5, 2.0])
def test_a_slow_rank_is_told_once_by_its_name(ranks: int, factor: float) -> None:
    slow = ranks - 1
    (found,) = findings(job(ranks, 400, slow_rank(slow, factor)))
    assert found.severity == "warning"
    assert found.metric == OWN_SECONDS
    assert (found.evidence["rank"], found.evidence["slow_ranks"]) == (slow, [slow])
    assert found.evidence["factor"] == pytest.approx(factor, rel=0.1)
    assert 190 <= found.onset_step <= 225
    assert found.step <= (260 if ranks >= 4 else 340)


def test_a_rank_that_is_a_fifth_slower_is_told_in_time() -> None:
    (found,) = findings(job(32, 900, slow_rank(5, 1.2)))
    assert found.evidence["rank"] == 5


@pytest.mark.parametrize("ranks", [2, 4, 16])
@pytest.mark.parametrize("seed", range(3))
def test_ranks_of_one_pace_are_quiet(ranks: int, seed: int) -> None:
    assert findings(job(ranks, 1000, seed=seed)) == []


def test_slow_for_all_is_slow_for_nobody() -> None:
    assert findings(job(8, 500, lambda rank, step: 3.0 if step > 250 else 1.0)) == []


def test_a_rank_that_pauses_for_a_few_steps_is_no_straggler() -> None:
    def pause(rank: int, step: int) -> float:
        return 50.0 if rank == 1 and 250 <= step < 256 else 1.0

    assert findings(job(8, 500, pause)) == []


def test_a_rank_that_is_slow_for_some_steps_now_and_then_is_no_straggler() -> None:
    def bursts(rank: int, step: int) -> float:
        return 1.5 if (step + 37 * rank) % 300 < 15 else 1.0

    assert findings(job(16, 1000, bursts)) == []


def test_a_rank_that_saves_checkpoints_is_no_straggler() -> None:
    def saves(rank: int, step: int) -> float:
        return 100.0 if rank == 0 and step % 50 == 0 else 1.0

    assert findings(job(8, 600, saves)) == []


def test_stages_of_a_pipeline_differ_by_design() -> None:
    assert findings(job(16, 500, lambda rank, step: 1.6 if rank % 4 == 3 else 1.0)) == []


def test_a_slow_rank_of_a_heavy_stage_is_told_all_the_same() -> None:
    def staged(rank: int, step: int) -> float:
        return (1.3 if rank % 4 == 3 else 1.0) * (1.6 if rank == 7 and step > 250 else 1.0)

    (found,) = findings(job(16, 600, staged))
    assert found.evidence["rank"] == 7


def test_a_rank_that_was_slow_from_its_first_step_is_told() -> None:
    (found,) = findings(job(16, 200, slow_rank(3, 1.6, start=0)))
    assert found.evidence["rank"] == 3


def test_all_ranks_of_a_slow_host_are_told() -> None:
    found = findings(job(64, 400, lambda rank, step: 1.6 if rank // 8 == 2 and step > 200 else 1.0))
    assert len(found) <= 2
    assert sorted(rank for each in found for rank in each.evidence["slow_ranks"]) == list(range(16, 24))


def test_it_is_over_when_the_rank_keeps_up_again() -> None:
    detector = Straggler()
    samples = job(8, 600, lambda rank, step: 1.6 if rank == 3 and 200 <= step < 400 else 1.0)
    was_active = {}
    for sample in samples:
        detector.update(sample)
        was_active[sample.step] = detector.active
    assert was_active[350]
    assert not was_active[600]


def test_a_slow_rank_that_is_gone_is_no_longer_told() -> None:
    detector = Straggler()
    findings(job(8, 400, slow_rank(7, 1.6)), detector)
    assert detector.active
    findings(job(7, 800, first_step=401), detector)
    assert not detector.active
    assert 7 not in detector.paces.ranks


@pytest.mark.parametrize(("step_seconds", "batch"), [(0.001, 1000), (0.01, 100), (20.0, 1)])
def test_batches_of_fast_steps_are_compared_over_the_same_steps(step_seconds: float, batch: int) -> None:
    """The whole job slows down within one batch, which other ranks send later."""
    steps = min(80_000, 400 + int(120 / step_seconds))

    def slower(rank: int, step: int) -> float:
        return 2.0 if step > steps // 2 else 1.0

    assert findings(job(4, steps, slower, step_seconds=step_seconds, batch=batch)) == []
    slow = slow_rank(2, 1.6, start=steps // 2)
    (found,) = findings(job(4, steps, slow, step_seconds=step_seconds, batch=batch))
    assert found.evidence["rank"] == 2


def test_own_seconds_count_where_steps_are_all_the_same() -> None:
    detector, found = Straggler(), []
    for sample in job(4, 300, slow_rank(1, 1.5, start=100)):
        values: Mapping[str, float] = {**sample.values, "step_seconds": 1.6}
        found.append(detector.update(Sample(sample.step, sample.time, values, rank=sample.rank)))
    assert [f.evidence["rank"] for f in found if f] == [1]


def test_step_seconds_tell_of_ranks_that_need_not_wait() -> None:
    (found,) = findings(job(8, 400, slow_rank(3, 1.6), metric="step_seconds"))
    assert (found.metric, found.evidence["rank"]) == ("step_seconds", 3)


def test_own_seconds_may_be_measured_now_and_then_only() -> None:
    samples = (s for s in job(8, 8000, slow_rank(3, 1.6, start=4000), step_seconds=0.1) if s.step % 10 == 0)
    (found,) = findings(samples)
    assert found.evidence["rank"] == 3


def test_a_rollback_keeps_what_was_learned() -> None:
    detector = Straggler()
    findings(job(8, 400), detector)
    detector.rewind(300)
    (found,) = findings(job(8, 200, slow_rank(3, 1.6, start=0), first_step=301), detector)
    assert found.step <= 380


def test_it_goes_on_from_its_state() -> None:
    detector = Straggler()
    samples = list(job(8, 400, slow_rank(3, 1.6)))
    findings(iter(samples[:1700]), detector)
    again = msgspec.msgpack.decode(msgspec.msgpack.encode(detector), type=Straggler)
    assert findings(iter(samples[1700:]), again) == findings(iter(samples[1700:]), detector) != []


def test_its_state_is_bounded_whatever_the_number_of_ranks() -> None:
    detector = Straggler()
    findings(job(64, 200, slow_rank(3, 1.6, start=50)), detector)
    assert len(msgspec.msgpack.encode(detector)) < 64 * 100
    for step in range(1, 40):
        for rank in range(MAX_RANKS + 500):
            detector.update(Sample(step, float(step), {OWN_SECONDS: 1.0}, rank=rank))
    assert len(detector.paces.ranks) == MAX_RANKS


def test_a_run_of_one_rank_is_not_looked_at() -> None:
    detectors = DetectorSet()
    for step in range(100):
        detectors.update(Sample(step, float(step), {"step_seconds": 1.0}))
    assert detectors.straggler.paces == Paces()
    detectors.update(Sample(100, 100.0, {"step_seconds": 1.0}, rank=1))
    detectors.update(Sample(100, 100.0, {"step_seconds": 1.0}, rank=0))
    assert list(detectors.straggler.paces.ranks) == [1, 0]


def test_the_set_tells_of_it() -> None:
    detectors = DetectorSet()
    kinds = [found.kind for sample in job(8, 400, slow_rank(3, 1.6)) for found in detectors.update(sample)]
    assert kinds.count("straggler") == 1
    assert detectors.active("straggler")


STRANGE = st.sampled_from([math.nan, math.inf, -math.inf, -1.0, 0.0, 1e-30, 1e30, 1, 10**400 % 7])


@given(
    st.lists(
        st.tuples(st.integers(0, 3), st.integers(-(2**63), 2**63 - 1), STRANGE | st.floats()), max_size=60
    )
)
def test_bad_input_makes_no_alarm(rows: list[tuple[int, int, float]]) -> None:
    detector = Straggler(StragglerSettings())
    for rank, step, seconds in rows:
        assert detector.update(Sample(step, seconds, {"step_seconds": seconds}, rank=rank)) is None


def test_steps_that_jump_and_come_back_do_not_deafen_it() -> None:
    detector = Straggler()
    findings(job(4, 200), detector)
    for rank in range(4):
        detector.update(Sample(2**62, 1.8e9, {OWN_SECONDS: 1.0}, rank=rank))
    found = findings(job(4, 400, slow_rank(1, 1.6, start=0), first_step=201), detector)
    assert [f.evidence["rank"] for f in found] == [1]


def test_a_rank_that_comes_to_lead_begins_its_own_round() -> None:
    paces = Paces()
    for rank, step, time in ((1, 8, 1.0), (1, 16, 11.0), (0, 16, 12.0)):
        assert paces.add(rank, step, time, 1.0) == {}


@pytest.mark.parametrize("seconds", [0.1, 0.5, 2.0])
@pytest.mark.parametrize("batch", [8, 10, 17, 32])
def test_it_does_not_matter_which_rank_sends_its_batch_first(batch: int, seconds: float) -> None:
    detectors = DetectorSet()
    for begin in range(0, 20 * batch, batch):
        for rank in range(4):
            for step in range(begin, begin + batch):
                values = {"loss": 2.0, "step_seconds": seconds}
                assert detectors.update(Sample(step, 1.7e9 + step * seconds, values, rank=rank)) == []


def test_ranks_that_become_slow_are_all_named_the_slowest_first() -> None:
    def three(rank: int, step: int) -> float:
        return {3: 1.5, 7: 2.0, 9: 1.7}.get(rank, 1.0) if step >= 200 else 1.0

    detectors = DetectorSet()
    found = [finding for sample in job(16, 400, three) for finding in detectors.update(sample)]
    assert found[-1].evidence["slow_ranks"] == [7, 9, 3]
    assert found[-1].evidence["slow"] == 3


def seldom(samples: Iterator[Sample], steps: int) -> Iterator[Sample]:
    """What is heard of a fast job, whose ranks tell of one step in `steps`."""
    return (sample for sample in samples if sample.step % steps == 0)


@pytest.mark.parametrize("ranks", [2, 8])
def test_of_fast_steps_a_rank_twice_as_slow_is_told_within_half_a_minute(ranks: int) -> None:
    samples = job(ranks, 1600, slow_rank(1, 2.0, start=0), step_seconds=0.02)
    (found,) = findings(seldom(samples, 32))
    assert found.evidence["rank"] == 1
    assert found.time - 1.7e9 < 30 + 20, "the steps that take long at the job's begin and its pauses apart"
    assert 0 <= found.onset_step <= found.step


@pytest.mark.parametrize("ranks", [2, 3, 8, 32])
def test_of_fast_steps_ranks_of_one_pace_are_quiet(ranks: int) -> None:
    assert findings(seldom(job(ranks, 12_000, step_seconds=0.03, seed=ranks), 32)) == []
