"""What is lastingly higher: a drift, a new level, or neither."""

from __future__ import annotations

import random
from collections.abc import Sequence
from itertools import repeat

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trimtab_monitor.detectors import DetectorSet
from trimtab_monitor.detectors.shapes import autocorrelation, fit
from trimtab_monitor.types import Finding, Sample

LASTING = ("divergence", "level_shift")


def noisy(levels: Sequence[float], sigma: float = 0.05, seed: int = 1, rho: float = 0.0) -> list[float]:
    noise, error, losses = random.Random(seed), 0.0, []
    for level in levels:
        error = rho * error + (1.0 - rho * rho) ** 0.5 * noise.gauss(0, sigma)
        losses.append(level + error)
    return losses


def told(losses: Sequence[float], rates: Sequence[float] | None = None) -> list[Finding]:
    detectors, found = DetectorSet(), []
    for step, (loss, rate) in enumerate(zip(losses, rates or repeat(1e-3), strict=False)):
        found += detectors.update(Sample(step, float(step), {"loss": loss, "lr": rate}))
    return [finding for finding in found if finding.kind in LASTING]


FLAT = [2.0] * 300
RAMP = [2.0 + 0.008 * step for step in range(60)]


def test_a_drift_is_dated_to_its_onset_and_gets_critical() -> None:
    found = told(noisy(FLAT + RAMP + [2.0 + 0.008 * step for step in range(60, 120)]))
    assert [finding.kind for finding in found] == ["divergence", "divergence"]
    assert [finding.severity for finding in found] == ["warning", "critical"]
    assert 290 <= found[0].onset_step <= 312
    assert found[0].step <= 335


def test_a_level_is_dated_to_its_first_step() -> None:
    found = told(noisy(FLAT + [2.24] * 60))
    assert [finding.kind for finding in found] == ["level_shift"]
    assert abs(found[0].onset_step - 300) <= 2


def test_a_small_shift_is_benign() -> None:
    assert told(noisy(FLAT + [2.06] * 300, sigma=0.02)) == []


def test_a_rise_under_a_climbing_rate_is_its_doing() -> None:
    losses = noisy(FLAT + [2.0 + 0.003 * min(step, 60) for step in range(200)])
    decay = [1.1e-3 * 0.992**step for step in range(300)]
    restart = [1e-4 * (1.0 + min(step, 60) / 6) for step in range(200)]
    assert [finding.kind for finding in told(losses)][:1] == ["divergence"]
    assert told(losses, decay + restart) == []


def test_a_rate_beyond_what_the_run_has_known_is_no_excuse() -> None:
    losses = noisy(FLAT + [2.0 + 0.003 * min(step, 60) for step in range(200)])
    assert told(losses, [1e-4] * 300 + [1e-4 * 1.03**step for step in range(200)])


def test_a_large_rise_is_told_whatever_the_rate_does() -> None:
    losses = noisy(FLAT + [2.0 + 0.02 * step for step in range(60)])
    climbing = [1e-4] * 300 + [1e-4 * (1.0 + step / 6) for step in range(60)]
    assert told(losses, climbing)


def test_a_loss_as_noisy_as_a_value_loss_is_not_judged() -> None:
    assert told(noisy(FLAT + [2.9] * 200, sigma=0.5)) == []


def test_correlated_noise_is_hardly_ever_a_drift() -> None:
    found = [finding for seed in range(6) for finding in told(noisy([2.0] * 3000, 0.03, seed, rho=0.8))]
    assert len(found) <= 2


def test_a_level_that_stays_is_the_new_normal() -> None:
    detectors = DetectorSet()
    for step, loss in enumerate(noisy(FLAT + [2.3] * 400)):
        detectors.update(Sample(step, float(step), {"loss": loss}))
    assert detectors.lasting_rise.series.expected == pytest.approx(2.3, abs=0.05)
    assert not any(map(detectors.active, LASTING))


@given(st.lists(st.floats(-6, 6), min_size=20, max_size=80), st.floats(0, 0.97))
def test_shapes_never_fail_and_their_gains_are_no_less_than_nothing(values: list[float], rho: float) -> None:
    step, ramp = fit(values, rho)
    assert min(step.gain, ramp.gain) >= 0.0
    assert max(step.samples, ramp.samples) < len(values)
    assert 0.0 <= autocorrelation(values) <= 0.97


@pytest.mark.parametrize(
    "losses",
    [
        pytest.param([2.0 * 1.25**step for step in range(60)], id="by a quarter a step"),
        pytest.param([2.0 + 0.1 * step for step in range(120)], id="linearly"),
        pytest.param(
            [*(10.0 - 0.3 * step for step in range(9)), *(7.3 * 1.03**step for step in range(80))], id="soon"
        ),
    ],
)
def test_a_run_that_diverges_from_its_beginning_is_told(losses: list[float]) -> None:
    found = told(noisy(losses, sigma=0.01))
    assert {finding.severity for finding in found} >= {"critical"}
    assert found[0].step < 60


def test_what_still_climbs_is_not_accepted() -> None:
    found = told(noisy(FLAT + [2.0 + 0.003 * step for step in range(1000)]))
    assert found[0].severity == "warning"
    assert found[-1].severity == "critical"
    assert len(found) <= 4


def test_a_level_that_was_accepted_is_not_told_again_as_far_from_the_best() -> None:
    found = told(noisy(FLAT + [3.1] * 1000))
    assert found[0].kind == "level_shift"
    assert max(finding.step for finding in found) < 440
