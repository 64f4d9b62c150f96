"""The loss to come, on curves of known law and on recorded ones."""

from __future__ import annotations

import csv
from pathlib import Path

import numpy as np
import pytest

from trimtab_monitor.forecast.loss import loss_forecast
from trimtab_monitor.forecast.power_law import Values, fit

CURVES = Path(__file__).parents[3] / "benchmarks" / "curves"


def curve(steps: Values, a: float = 2.0, b: float = 3.0, c: float = 0.5) -> Values:
    fallen: Values = a + b * (steps / 100.0) ** -c
    return fallen


def noisy(upto: int, sigma: float = 0.05, spikes: bool = False) -> tuple[Values, Values]:
    rng = np.random.default_rng(4)
    steps = np.arange(1.0, upto + 1.0)
    losses = curve(steps) + sigma * rng.standard_normal(upto)
    if spikes:
        losses[rng.choice(upto, upto // 30, replace=False)] += 5.0
        losses[upto // 2] = np.nan
    return steps, losses


@pytest.mark.parametrize("spikes", [False, True])
def test_the_law_of_a_curve_is_found_through_noise_and_spikes(spikes: bool) -> None:
    found = loss_forecast(*noisy(5000, spikes=spikes))
    assert found is not None
    end = found.at(10_000)
    assert end.expected == pytest.approx(curve(np.array([10_000.0]))[0], rel=0.02)
    assert end.low < end.expected < end.high
    assert found.now == pytest.approx(curve(np.array([4900.0]))[0], rel=0.02)
    slope = -3.0 * -0.5 / 100.0 * 50.0**-1.5
    assert found.slope().low / 1.5 < slope < 1.5 * found.slope().high


def test_a_loss_below_zero_has_a_law_too() -> None:
    steps, losses = noisy(2000)
    below, above = loss_forecast(steps, losses - 10.0), loss_forecast(steps, losses)
    assert below is not None
    assert above is not None
    assert below.at(4000).expected + 10.0 == pytest.approx(above.at(4000).expected, abs=0.1)


def test_how_far_it_is_to_a_loss() -> None:
    found = loss_forecast(*noisy(5000, sigma=0.01))
    assert found is not None
    goal = float(curve(np.array([8000.0]))[0])
    steps = found.steps_to(goal)
    assert steps is not None
    assert steps.low <= steps.expected <= steps.high
    assert steps.expected == pytest.approx(3000, rel=0.3)
    assert found.steps_to(1.0) is None, "it never gets below its floor"
    there = found.steps_to(5.0)
    assert there is not None
    assert there.high == 0.0


def test_more_steps_bring_more_and_less_and_less() -> None:
    found = loss_forecast(*noisy(5000))
    assert found is not None
    assert found.gain(500).expected < found.gain(1000).expected < 2 * found.gain(500).expected
    flat = loss_forecast(np.arange(1.0, 2001.0), np.full(2000, 3.0))
    assert flat is not None
    assert flat.gain(200).high < 1e-6
    assert flat.at(4000).expected == pytest.approx(3.0)


def test_too_little_is_no_forecast() -> None:
    steps, losses = noisy(40)
    assert loss_forecast(steps, losses) is None
    assert loss_forecast(np.arange(1.0, 200.0), np.full(199, np.nan)) is None
    assert loss_forecast(np.array([]), np.array([])) is None
    assert loss_forecast(np.arange(1.0, 200.0), np.full(199, 1e200)) is None


@pytest.mark.parametrize("unit", [1e-300, 1e-12, 1e12, 1e90])
def test_a_loss_of_any_size_has_a_forecast_that_is_a_number(unit: float) -> None:
    steps, losses = noisy(500)
    found = loss_forecast(steps, unit * losses)
    assert found is not None
    assert all(map(np.isfinite, (found.at(1000).low, found.gain(50).high, found.slope().low)))


def test_the_fit_is_not_moved_by_the_order_of_magnitude() -> None:
    steps = np.arange(1.0, 61.0)
    small, large = fit(steps, 1e-6 * curve(steps)), fit(steps, 1e6 * curve(steps))
    assert small.best.exponent == large.best.exponent


@pytest.mark.parametrize("name", ["clean_quiet", "clean_slow", "clean_noisy", "batch_x4"])
def test_recorded_runs_end_within_the_interval(name: str) -> None:
    with (CURVES / f"{name}.csv").open() as file:
        rows = [(float(row["step"]), float(row["loss"])) for row in csv.DictReader(file)]
    steps, losses = np.array(rows).T
    half = len(steps) // 2
    found = loss_forecast(steps[:half], losses[:half])
    assert found is not None
    end = found.at(steps[-1])
    assert end.low <= float(np.median(losses[-15:])) <= end.high


@pytest.mark.parametrize("rise", [0.0, 1e-3])
def test_a_loss_that_does_not_fall_stays_about_where_it_is(rise: float) -> None:
    steps = np.arange(1.0, 2001.0)
    found = loss_forecast(steps, 5.0 + rise * steps + np.random.default_rng(3).standard_normal(2000))
    assert found is not None
    assert not found.falls
    assert not found.fell
    end = found.at(4000.0)
    assert end.low < end.expected == found.now < end.high
    assert found.steps_to(found.now - 1.0) is None


def test_a_loss_that_jumped_up_is_not_said_to_be_back_by_the_end() -> None:
    steps, losses = noisy(3000)
    losses[2700:] += 6.0
    found = loss_forecast(steps, losses)
    assert found is not None
    assert found.at(6000.0).high >= found.now > 8.0


def test_nothing_falls_below_what_it_can() -> None:
    steps = np.arange(1.0, 1001.0)
    found = loss_forecast(steps, 3.0 * steps**-0.5 * np.random.default_rng(3).lognormal(0, 0.8, 1000))
    assert found is not None
    assert found.at(100_000.0).low >= 0.0
    assert found.steps_to(-1.0) is None
    assert found.steps_to(1e-12) is None, "a law says nothing of what is so far away"
