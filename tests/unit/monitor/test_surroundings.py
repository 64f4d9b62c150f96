"""What the book remembers beside its incidents: the last steps, the other ranks, earlier attempts."""

from __future__ import annotations

import math
import random
from collections.abc import Callable

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trimtab_monitor.detectors import DetectorSet
from trimtab_monitor.incidents import IncidentBook
from trimtab_monitor.peers import STEPS_KEPT, PeerLosses
from trimtab_monitor.surroundings import Surroundings
from trimtab_monitor.trail import Trail, around
from trimtab_monitor.types import Incident, Sample

Values = dict[str, float]


class Run:
    """Some ranks of one job, watched by detectors and book."""

    def __init__(self, ranks: int = 1, book: IncidentBook | None = None) -> None:
        self.ranks = ranks
        self.book = IncidentBook("run-1") if book is None else book
        self.detectors = DetectorSet()
        self.noise = random.Random(7)
        self.attempt = 0
        self.told: dict[str, Incident] = {}

    def step(self, step: int, on_rank: Callable[[int], Values] = lambda rank: {}) -> None:
        for rank in range(self.ranks):
            usual = {"loss": 2.0 + self.noise.gauss(0, 0.03), "grad_norm": 0.3, "lr": 1e-3, "tokens": 1e6}
            sample = Sample(step, float(step), usual | on_rank(rank), self.attempt, rank)
            changed = self.book.observe(sample, self.detectors.update(sample), self.detectors.active)
            self.told |= {incident.id: incident for incident in changed}

    def steps(self, first: int, last: int, **values: float) -> None:
        for step in range(first, last + 1):
            self.step(step, lambda rank: values)

    @property
    def incident(self) -> Incident:
        (incident,) = self.told.values()
        return incident


def test_a_spike_on_all_ranks_is_told_so() -> None:
    run = Run(ranks=4)
    run.steps(1, 60)
    run.steps(61, 63, loss=6.0)
    assert run.incident.evidence["extent"] == "all"
    assert "; all 4 ranks; " in run.incident.summary


def test_a_spike_on_one_rank_is_told_so() -> None:
    run = Run(ranks=4)
    run.steps(1, 60)
    run.step(61, lambda rank: {"loss": 6.0} if rank == 0 else {})
    assert "; rank 0 only, of 4; " in run.incident.summary
    assert run.incident.evidence["cause"]["class"] == "data"


@pytest.mark.parametrize(
    ("bad", "told"),
    [
        ({3}, "on rank 3 only, of 4 "),
        ({0}, "on rank 0 only, of 4 "),
        ({1, 3}, "on ranks 1, 3 "),
        ({0, 1, 2, 3}, "on all 4 ranks "),
    ],
)
def test_which_ranks_are_not_finite_is_told(bad: set[int], told: str) -> None:
    run = Run(ranks=4)
    run.steps(1, 60)
    run.step(61, lambda rank: {"loss": math.nan} if rank in bad else {})
    assert run.incident.summary.startswith(f"loss is NaN at step 61 {told}(last finite value ")


def test_a_run_of_one_rank_says_nothing_of_ranks() -> None:
    run = Run()
    run.steps(1, 60)
    run.steps(61, 62, loss=6.0)
    assert "rank" not in run.incident.summary
    assert run.book.surroundings.peers == PeerLosses()


def test_a_bad_batch_is_told_once_the_loss_is_back() -> None:
    run = Run()
    run.steps(1, 60)
    run.step(61, lambda rank: {"loss": 8.0, "grad_norm": 4.0})
    run.steps(62, 80)
    assert run.incident.state == "resolved"
    assert run.incident.evidence["cause"]["class"] == "data"
    assert run.incident.summary.endswith(
        "gradient norm rose at the same step; learning rate unchanged; likely cause: data "
        "(one step only, gradient norm at the same step, and back at once); back to normal by step 71"
    )


def test_the_same_step_bad_after_a_restart_is_the_data() -> None:
    run = Run()
    run.steps(1, 60)
    run.steps(61, 63, loss=6.0)
    run.steps(64, 90)
    run.attempt = 1
    run.steps(41, 60)
    run.steps(61, 63, loss=6.0)
    _, second = run.told.values()
    assert second.evidence["cause"] == {
        "class": "data",
        "confidence": "likely",
        "because": ["step 61 was bad in attempt 0 too"],
    }


def test_trouble_just_after_a_restart_has_to_do_with_it() -> None:
    run = Run()
    run.steps(1, 100)
    run.attempt = 1
    run.steps(81, 84)
    run.steps(85, 86, loss=6.0)
    assert run.incident.evidence["cause"]["because"] == [
        "the run was started again at step 81: data order or checkpoint"
    ]


def test_after_a_rollback_the_data_goes_on_and_nothing_is_blamed_on_the_restart() -> None:
    run = Run()
    run.steps(1, 60)
    run.steps(61, 63, loss=6.0)
    run.book.rolled_back("c1", 50, 0.0)
    run.attempt = 1
    run.steps(51, 90)
    assert run.incident.state == "resolved"
    assert run.incident.evidence["cause"]["because"] == ["gone after going back and on with other batches"]
    assert (run.book.surroundings.began_step, run.book.surroundings.onsets) == (None, [])


def test_a_batch_of_another_size_is_told() -> None:
    run = Run()
    run.steps(1, 60)
    run.steps(61, 62, loss=6.0, tokens=2.5e5)
    assert run.incident.evidence["cause"]["because"] == ["tokens a step went 1,000,000 -> 250,000"]


def test_what_is_remembered_serialises_and_stays_small() -> None:
    run = Run(ranks=8)
    run.steps(1, 300)
    packed = msgspec.msgpack.encode(run.book)
    assert len(packed) < 8000
    assert msgspec.msgpack.decode(packed, type=IncidentBook) == run.book


def test_a_late_sample_of_an_earlier_attempt_is_passed_over() -> None:
    around_us = Surroundings()
    around_us.note(Sample(5, 0.0, {"loss": 2.0, "lr": 1.0}, attempt=1))
    around_us.note(Sample(90, 0.0, {"loss": 2.0, "lr": 9.0}, attempt=0))
    assert [row[0] for row in around_us.trail.rows] == [5]


def test_a_step_in_two_samples_is_one_row() -> None:
    trail = Trail()
    trail.note(Sample(5, 0.0, {"loss": 2.0, "lr": 1e-3}))
    trail.note(Sample(5, 0.0, {"grad_norm": 0.3}))
    assert trail.rows == [(5, 1e-3, 0.3, None, None, None)]


@pytest.mark.parametrize("factor", [1.0, 30.0])
def test_the_last_jump_of_the_rate_is_found(factor: float) -> None:
    trail = Trail()
    for step in range(1, 40):
        trail.note(Sample(step, 0.0, {"lr": 1e-3 * (factor if step >= 30 else 1.0)}))
    known = around(trail.rows, onset=32)
    assert known.get("lr_jump_step") == (30 if factor > 1.0 else None)
    assert (known["lr_before"], known["lr_now"]) == (1e-3, 1e-3 * factor)


def test_a_jump_long_before_is_no_clue() -> None:
    trail = Trail()
    for step in range(1, 60):
        trail.note(Sample(step, 0.0, {"lr": 1e-3 * (30.0 if step >= 10 else 1.0)}))
    assert "lr_jump_step" not in around(trail.rows, onset=55)


def test_a_gradient_norm_that_grows_is_counted_up_to_now() -> None:
    trail = Trail()
    for step, norm in enumerate([0.3, 0.3, 0.25, 0.9, 2.4, 16.0, 145.0, 960.0]):
        trail.note(Sample(step, 0.0, {"grad_norm": norm}))
    known = around(trail.rows, onset=3)
    assert (known["grad_norm_before"], known["grad_norm_highest"], known["grad_norm_grew_steps"]) == (
        0.3,
        960.0,
        5,
    )


NUMBERS = st.floats() | st.sampled_from([0.0, -1.0, 1e30, 1e-30, math.nan, math.inf])


@given(
    st.lists(
        st.tuples(
            st.integers(-3, 90),
            st.dictionaries(st.sampled_from(["loss", "lr", "grad_norm", "tokens"]), NUMBERS),
        )
    )
)
def test_whatever_comes_the_steps_kept_rise_and_are_few(given_: list[tuple[int, Values]]) -> None:
    trail = Trail()
    peers = PeerLosses()
    for step, values in given_:
        trail.note(Sample(step, 0.0, values))
        peers.note(Sample(step, 0.0, values, rank=1))
    steps = [row[0] for row in trail.rows]
    assert steps == sorted(set(steps))
    assert len(steps) <= 64
    assert len(peers.steps) <= STEPS_KEPT
    around(trail.rows, 40)


def test_a_rate_that_goes_up_and_down_all_the_time_is_no_cause() -> None:
    trail, noise = Trail(), random.Random(3)
    for step in range(1, 60):
        trail.note(Sample(step, 0.0, {"lr": 1e-3 * noise.lognormvariate(0.0, 0.2)}))
    for step, factor in ((60, 0.7), (61, 1.2)):
        trail.note(Sample(step, 0.0, {"lr": 1e-3 * factor}))
    known = around(trail.rows, onset=61)
    assert known["lr_varies"]
    assert "lr_jump_step" not in known


def test_a_rate_that_comes_back_in_a_cycle_has_not_jumped() -> None:
    trail = Trail()
    for step in range(1, 65):
        trail.note(Sample(step, 0.0, {"lr": 1e-3 if step % 20 < 10 else 1e-4}))
    known = around(trail.rows, onset=62)
    assert known["lr_varies"]
    assert "lr_jump_step" not in known


def test_batches_that_always_differ_in_size_are_no_cause() -> None:
    run, noise = Run(), random.Random(5)
    for step in range(1, 66):
        tokens = 1000.0 * noise.lognormvariate(0.0, 0.1)
        run.steps(step, step, tokens=tokens, **({"loss": 6.0} if step > 60 else {}))
    assert run.incident.evidence["cause"]["class"] == "unknown"


def test_a_batch_of_another_size_after_the_onset_is_no_cause() -> None:
    run = Run()
    run.steps(1, 60)
    run.steps(61, 63, loss=6.0)
    run.steps(64, 64, loss=6.0, tokens=5e5)
    run.steps(65, 80)
    assert run.incident.evidence["tokens_now"] == 1e6


def test_gradients_that_had_come_back_before_the_loss_rose_did_not_lead() -> None:
    run = Run()
    run.steps(1, 60)
    run.steps(61, 61, grad_norm=9.0)
    run.steps(62, 63)
    run.steps(64, 68, loss=6.0)
    assert "gradient norm rose" not in run.incident.summary


def test_of_rows_many_steps_apart_none_is_one_step_only() -> None:
    run = Run()
    for row in range(1, 75):
        run.steps(100 * row, 100 * row, **({"loss": 6.0, "grad_norm": 9.0} if row == 61 else {}))
    assert run.incident.evidence["cause"]["confidence"] == "possible"
    assert "(one row only, and back at the next)" in run.incident.summary
