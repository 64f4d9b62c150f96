"""Gradients that vanish, beside all that makes them small for good reasons."""

from __future__ import annotations

import math
import random
from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trimtab_monitor.detectors.vanishing_gradients import VanishingGradients
from trimtab_monitor.types import Finding, Sample


def norms(seed: int, steps: int, level: float = 0.4, sigma: float = 0.3) -> list[float]:
    noise = random.Random(seed)
    return [level * noise.lognormvariate(0, sigma) for _ in range(steps)]


def told(
    grad_norms: Iterable[float],
    losses: Iterable[float] | None = None,
    detector: VanishingGradients | None = None,
    start: int = 1,
) -> list[Finding]:
    detector = VanishingGradients() if detector is None else detector
    grad_norms = list(grad_norms)
    losses = [2.3] * len(grad_norms) if losses is None else losses
    found = [
        detector.update(Sample(step, 0.0, {"loss": loss, "grad_norm": norm}))
        for step, (loss, norm) in enumerate(zip(losses, grad_norms, strict=True), start=start)
    ]
    return [finding for finding in found if finding is not None]


@pytest.mark.parametrize("level", [0.01, 1e-4, 1e-12])
def test_a_norm_that_vanishes_is_told_once_it_has_lasted(level: float) -> None:
    found = told(norms(1, 200) + norms(2, 200, level=level))
    assert (found[0].severity, found[0].step, found[0].onset_step) == ("warning", 230, 201)
    assert found[0].expected == pytest.approx(0.4, rel=0.2)
    assert len(found) == 1


def test_no_gradient_at_all_is_told_once() -> None:
    severities = [(found.severity, found.step) for found in told([*norms(1, 200), *[0.0] * 500])]
    assert severities == [("warning", 230)]


def test_noise_is_silent_however_heavy() -> None:
    for sigma in (0.1, 0.5, 1.0, 2.0):
        assert told(norms(1, 20_000, sigma=sigma)) == []


def test_the_steep_fall_of_a_young_run_is_silent() -> None:
    falling = [norm * (1.0 + 100.0 * math.exp(-step / 80)) for step, norm in enumerate(norms(1, 3000))]
    assert told(falling) == []


def test_slow_convergence_is_silent() -> None:
    for sigma in (0.0, 0.01, 0.3):
        noisy = norms(1, 9000, sigma=sigma)
        assert told(norm * 10.0 ** (-step / 1500) for step, norm in enumerate(noisy)) == []


def test_a_gradient_that_falls_with_its_loss_is_silent() -> None:
    shrinking = [1.0] * 200 + [10.0 ** -min(step / 20, 8) for step in range(600)]
    grad_norms = [norm * share for norm, share in zip(norms(1, 800), shrinking, strict=True)]
    assert told(grad_norms, [2.3 * share for share in shrinking]) == []
    assert len(told(grad_norms)) >= 1


def test_a_loss_of_zero_has_no_gradient() -> None:
    assert told([*norms(1, 200), *[0.0] * 500], [*[2.3] * 200, *[0.0] * 500]) == []


def test_a_job_whose_gradient_is_often_zero_sets_its_own_limit() -> None:
    noise, often = random.Random(1), norms(1, 30_000)
    for start in range(0, 30_000, 100):
        length = noise.randrange(5, 25)
        often[start : start + length] = [0.0] * length
    assert told(often) == []


def test_it_is_over_when_the_norm_comes_back() -> None:
    detector = VanishingGradients()
    assert len(told(norms(1, 200) + norms(2, 100, level=1e-4), detector=detector)) == 1
    assert detector.active
    assert told(norms(3, 200), detector=detector, start=301) == []
    assert not detector.active
    assert len(told(norms(4, 40, level=1e-4), detector=detector, start=501)) == 1


def test_a_new_level_becomes_normal() -> None:
    detector = VanishingGradients()
    assert len(told(norms(1, 200) + norms(2, 2100, level=1e-4), detector=detector)) == 1
    assert not detector.active
    assert len(told(norms(3, 100, level=1e-8), detector=detector, start=2301)) == 1


def test_a_spike_does_not_move_what_is_usual() -> None:
    assert told([*norms(1, 200), *norms(2, 40, level=400.0), *norms(3, 200)]) == []


def test_a_rollback_keeps_what_is_usual() -> None:
    detector = VanishingGradients()
    told(norms(1, 200) + norms(2, 50, level=1e-4), detector=detector)
    detector.rewind(190)
    assert not detector.active
    assert told(norms(3, 100), detector=detector, start=191) == []
    assert len(told(norms(4, 31, level=1e-4), detector=detector, start=291)) == 1


numbers = st.sampled_from([math.nan, math.inf, -1.0, 0.0, 5e-324, 1e-30, 1e30, 1e308, 2.0, 3])


@given(st.lists(st.tuples(st.integers(-99, 99), numbers, numbers), max_size=40))
def test_any_input_is_survived(rows: list[tuple[int, float, float]]) -> None:
    detector = VanishingGradients()
    for _ in range(4):
        for step, loss, norm in rows:
            detector.update(Sample(step, 0.0, {"loss": loss, "grad_norm": norm}))
