"""A pace that drifts is told from one that changed once, and from noise."""

from __future__ import annotations

import numpy as np
import pytest

from trimtab_monitor.forecast.drift import drift_of
from trimtab_monitor.forecast.pace import Amount, draw_rate

STEPS = np.full(24, 10.0)
NOISE = 0.01 * np.random.default_rng(1).standard_normal(24)
LINE = 1.0 + 0.02 * np.arange(24) + NOISE


def test_a_line_through_the_rates_is_a_drift() -> None:
    found = drift_of(STEPS, LINE)
    assert found is not None
    assert found.now == pytest.approx(1.47, abs=0.02)
    assert found.slope == pytest.approx(0.002, rel=0.05)
    assert found.mean_change(240.0) == pytest.approx(0.24, rel=0.05)
    assert found.mean_change(1e9) == pytest.approx(0.48, rel=0.05), "it lasts as long again, and no longer"


@pytest.mark.parametrize(
    "rates", [1.0 + NOISE, np.where(np.arange(24) < 14, 1.0, 2.0) + NOISE, LINE[:5], np.ones(24)]
)
def test_noise_and_a_change_are_none(rates: np.ndarray) -> None:
    assert drift_of(STEPS[: len(rates)], rates) is None


def test_a_forecast_reaches_as_far_as_the_drift_may_go() -> None:
    amounts = [Amount(10.0, 10.0 * float(rate)) for rate in LINE]
    drawn = draw_rate(amounts, 240.0, np.random.default_rng(2), 2000)
    low, high = np.quantile(drawn, (0.1, 0.9))
    assert low < 1.48 < 1.72 < high, "it may stop here, or go on to the end"
    speeding = [Amount(10.0, 10.0 * float(rate)) for rate in LINE[::-1]]
    assert draw_rate(speeding, 1e6, np.random.default_rng(2), 2000).min() > 0.0
