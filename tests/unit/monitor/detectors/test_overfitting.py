"""Overfitting, beside noisy evaluations and runs in which both losses rise."""

from __future__ import annotations

import math
import random
from collections.abc import Callable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trimtab_monitor.detectors.overfitting import EVALUATIONS_KEPT, Overfitting, OverfittingSettings
from trimtab_monitor.types import Finding, Sample

Curve = Callable[[float], float]


def told(
    evaluation: Curve,
    training: Curve,
    steps: int = 10_000,
    every: int = 250,
    sigma: float = 0.005,
    seed: int = 1,
    detector: Overfitting | None = None,
    start: int = 1,
) -> list[Finding]:
    """What is found where the losses are those of the share of the run that is over."""
    detector = Overfitting() if detector is None else detector
    noise, found = random.Random(seed), []
    for step in range(start, steps + 1):
        values = {"loss": training(step / steps) + noise.gauss(0, 0.1)}
        if step % every == 0:
            values["eval_loss"] = evaluation(step / steps) + noise.gauss(0, sigma)
        found.append(detector.update(Sample(step, 0.0, values)))
    return [finding for finding in found if finding is not None]


def falling(share: float) -> float:
    return 3.0 - share


def turning(share: float) -> float:
    return 3.0 - share + 3.0 * max(0.0, share - 0.4)


def test_overfitting_is_told_once_with_the_best_step() -> None:
    (found,) = told(turning, falling)
    assert (found.severity, found.metric) == ("warning", "eval_loss")
    assert 3500 <= found.evidence["best_step"] <= 4500
    assert found.evidence["best_step"] < found.onset_step <= found.step <= 6500
    assert found.evidence["loss_now"] < found.evidence["loss_at_best"]
    assert found.expected == found.evidence["best"]


def test_a_falling_evaluation_loss_is_silent_however_noisy() -> None:
    for seed in range(20):
        for sigma in (0.005, 0.05, 0.3):
            assert told(falling, falling, sigma=sigma, seed=seed) == []


def test_an_evaluation_loss_that_stands_still_is_silent_however_noisy() -> None:
    for seed in range(20):
        for sigma in (0.005, 0.05, 0.3):
            assert told(lambda _: 2.0, falling, sigma=sigma, seed=seed) == []


def test_both_losses_rising_is_no_overfitting() -> None:
    assert told(turning, turning) == []


def test_a_few_evaluations_will_do() -> None:
    (found,) = told(turning, falling, every=1000)
    assert found.step <= 9000


def test_a_small_rise_is_not_told() -> None:
    assert told(lambda share: 2.0 + 0.03 * share, falling, sigma=0.0005) == []


def test_a_repeated_value_is_no_new_evaluation() -> None:
    detector, found = Overfitting(), []
    for step in range(1, 400):
        evaluation = 2.0 if step < 100 else 2.5
        found.append(detector.update(Sample(step, 0.0, {"loss": 2.0 - step / 400, "eval_loss": evaluation})))
    assert [finding for finding in found if finding is not None] == []


def test_it_is_over_when_the_evaluation_loss_comes_back() -> None:
    detector = Overfitting()
    assert len(told(turning, falling, detector=detector)) == 1
    assert detector.active
    detector.update(Sample(10_001, 0.0, {"eval_loss": 2.6}))
    assert not detector.active


def test_a_rollback_forgets_the_evaluations_after_it() -> None:
    detector = Overfitting()
    assert len(told(turning, falling, detector=detector)) == 1
    detector.rewind(9000)
    assert not detector.active
    assert detector.steps[-1] == 9000
    detector.rewind(0)
    assert told(falling, falling, detector=detector) == []


def test_its_memory_does_not_grow() -> None:
    detector = Overfitting()
    told(falling, falling, detector=detector, every=10)
    assert len(detector.evaluations) == len(detector.steps) == EVALUATIONS_KEPT


numbers = st.sampled_from([math.nan, math.inf, -math.inf, -1.0, 0.0, 1e-30, 1e30, 1e308, 2.0, 3])


@given(st.lists(st.tuples(st.integers(-99, 99), numbers, numbers), max_size=60))
def test_any_input_is_survived(rows: list[tuple[int, float, float]]) -> None:
    detector = Overfitting()
    for step, loss, evaluation in rows:
        detector.update(Sample(step, 0.0, {"loss": loss, "eval_loss": evaluation}))
    detector.rewind(0)


@pytest.mark.parametrize("min_rise", [0.02, 5e-324])
def test_a_best_of_zero_without_any_noise_is_told_with_a_score(min_rise: float) -> None:
    detector, found = Overfitting(OverfittingSettings(min_rise=min_rise)), []
    for step in range(300):
        values = {"loss": 5.0 - step / 100}
        if step % 20 == 0:
            values["eval_loss"] = abs(10.0 - step / 20)
        found.append(detector.update(Sample(step, 0.0, values)))
    (told_of,) = [finding for finding in found if finding is not None]
    assert told_of.evidence["best_step"] == 200
    assert math.isfinite(told_of.score)


def test_evaluations_as_good_as_the_best_are_no_rise() -> None:
    detector = Overfitting()
    for step in range(400):
        values = {"loss": 5.0 - step / 100}
        if step % 20 == 0:
            values["eval_loss"] = 0.0 if step % 40 else 5e-324
        assert detector.update(Sample(step, 0.0, values)) is None


def test_a_rise_whose_steps_go_back_began_no_later_than_it_is_told() -> None:
    detector, found = Overfitting(), []
    for index in range(600):
        values = {"loss": 5.0 - index / 200}
        if index % 20 == 0:
            values["eval_loss"] = 2.0 + abs(200 - index) / 100
        found.append(detector.update(Sample(index if index < 255 else index - 150, 0.0, values)))
    (finding,) = [each for each in found if each is not None]
    assert finding.onset_step <= finding.step
