"""The interval that is told with each figure holds the truth."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Sequence
from itertools import accumulate, pairwise

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trimtab import wire
from trimtab_monitor.ledger import EnergyLedger
from trimtab_monitor.ledger.rows import Totals
from trimtab_monitor.ledger.testing import T0, device

LIMIT_W = 700.0
UPDATE_S = 0.1


class Truth:
    """Power in pieces of (seconds, watts), as a device draws it; idle at 60 W before and after."""

    def __init__(self, pieces: Sequence[tuple[float, float]]) -> None:
        self.bounds = [0.0, *accumulate(seconds for seconds, _ in pieces)]
        self.watts = [watts for _, watts in pieces]
        self.joules = [0.0, *accumulate(seconds * watts for seconds, watts in pieces)]

    @property
    def seconds(self) -> float:
        return self.bounds[-1]

    def until(self, time: float) -> float:
        """Joules from second 0 on."""
        if time <= 0:
            return 60 * time
        if time >= self.seconds:
            return self.joules[-1] + 60 * (time - self.seconds)
        at = bisect_right(self.bounds, time) - 1
        return self.joules[at] + self.watts[at] * (time - self.bounds[at])

    def mean_w(self, time: float, window: float) -> float:
        return (self.until(time) - self.until(time - window)) / window


def square(period: float, share: float, high: float, low: float, seconds: float) -> Truth:
    return Truth([(period * share, high), (period * (1 - share), low)] * round(seconds / period))


def by_power(truth: Truth, times: Sequence[float], window: float, method: str, update: float) -> wire.Device:
    return device(
        times,
        power=[truth.mean_w(time, window) for time in times],
        method=method,
        power_window_s=window,
        power_update_s=update,
        power_limit_w=LIMIT_W,
    )


def told(truth: Truth, readings: wire.Device) -> Totals:
    ledger = EnergyLedger()
    ledger.open("boot1", T0)
    ledger.add(readings)
    ledger.close(T0 + truth.seconds)
    return ledger.totals()


def holds(totals: Totals, truth: Truth) -> bool:
    energy_uj = truth.until(truth.seconds) * 1e6
    low_uj = totals.low_uj + totals.estimated_low_uj
    high_uj = totals.high_uj + totals.estimated_high_uj
    rounded_uj = 2_000  # a counter is read in millijoules
    return low_uj - rounded_uj <= energy_uj <= high_uj + rounded_uj


def grid(seconds: float, period: float, first: float = 0.0) -> list[float]:
    return [first + period * i for i in range(int((seconds - first) / period) + 1)]


@pytest.mark.parametrize("phase", [0.0, 0.013, 0.03, 0.05, 0.077])
@pytest.mark.parametrize("period", [0.1, 1.0])
def test_a_load_in_step_with_a_sensor_that_sees_a_quarter_is_within_the_interval(
    phase: float, period: float
) -> None:
    """100 ms at 600 and 200 W: each reading sees the same 25 ms of it, however often one reads."""
    truth = square(0.1, 0.5, 600, 200, seconds=60)
    readings = by_power(truth, grid(60, period, 0.1 + phase), 0.025, "power_instant", UPDATE_S)
    totals = told(truth, readings)
    assert holds(totals, truth)
    assert totals.low_uj <= (totals.energy_uj or 0) <= totals.high_uj


def test_the_same_load_is_seen_by_an_average() -> None:
    truth = square(0.1, 0.5, 600, 200, seconds=60)
    totals = told(truth, by_power(truth, grid(60, 1.0), 1.0, "power_average", UPDATE_S))
    assert totals.joules == pytest.approx(24_000, rel=0.01)
    assert holds(totals, truth)


def test_a_counter_tells_a_figure_without_doubt_and_a_model_half_to_twice() -> None:
    counted = told(Truth([(10, 500)]), device([0, 10], counter=[10**9, 10**9 + 5_000_000]))
    assert (counted.low_uj, counted.energy_uj, counted.high_uj) == (5_000 * 10**6,) * 3
    modelled = told(Truth([(10, 500)]), device(range(11), power=[300] * 11, method="model"))
    assert (modelled.low_joules, modelled.joules, modelled.high_joules) == (1_500, 3_000, 6_000)


def test_an_average_at_its_own_period_is_known_to_a_hundredth() -> None:
    truth = square(5, 0.6, 650, 100, seconds=300)
    totals = told(truth, by_power(truth, grid(300, 1.0), 1.0, "power_average", UPDATE_S))
    assert totals.joules == pytest.approx(truth.until(300), rel=1e-6)
    assert totals.high_uj - totals.low_uj < 0.03 * truth.until(300) * 1e6


def test_a_gap_has_bounds_apart_from_those_of_what_was_measured() -> None:
    power = [60.0, 60.0, 600.0, 600.0, 600.0]
    readings = device([0, 1, 2, 62, 63], power=power, method="power_average", power_limit_w=LIMIT_W)
    ledger = EnergyLedger()
    ledger.add(readings)
    totals = ledger.totals()
    assert (totals.estimated_low_uj, totals.estimated_uj, totals.estimated_high_uj) == (
        60 * 60 * 10**6,
        60 * 600 * 10**6,
        60 * 700 * 10**6,
    )
    assert totals.high_joules == pytest.approx(1.01 * (60 + 600 + 600))


# --- for any load that holds a level for as long as a period of reading ---

levels = st.floats(60, LIMIT_W)
loads = st.lists(st.tuples(st.floats(1.0, 20), levels), min_size=1, max_size=20).map(Truth)
periods = st.floats(0.1, 1.0)


@settings(deadline=None)
@given(loads, periods, st.floats(0, 1), st.sampled_from([(0.025, 0.1), (0.1, 0.1)]))
def test_momentary_power_holds_the_truth(
    truth: Truth, period: float, first: float, field: tuple[float, float]
) -> None:
    times = grid(truth.seconds, period, first)
    assert holds(told(truth, by_power(truth, times, field[0], "power_instant", field[1])), truth)


@settings(deadline=None)
@given(loads, st.floats(0.5, 1.0), st.floats(0, 1))
def test_average_power_holds_the_truth(truth: Truth, period: float, first: float) -> None:
    times = grid(truth.seconds, period, first)
    assert holds(told(truth, by_power(truth, times, 1.0, "power_average", UPDATE_S)), truth)


@settings(deadline=None)
@given(loads, st.floats(0.5, 5.0), st.floats(0, 1), st.booleans())
def test_a_counter_holds_the_truth(truth: Truth, period: float, first: float, with_power: bool) -> None:
    times = grid(truth.seconds + period, period, first - 1)
    counter = [10**9 + round(1_000 * truth.until(time)) for time in times]
    power = [truth.mean_w(time, 1.0) for time in times] if with_power else None
    readings = device(times, counter=counter, power=power, power_window_s=1.0, power_limit_w=LIMIT_W)
    assert holds(told(truth, readings), truth)


@settings(deadline=None)
@given(loads, st.floats(0.5, 1.0), st.data())
def test_an_outage_of_the_counter_holds_the_truth(truth: Truth, period: float, data: st.DataObject) -> None:
    times = grid(truth.seconds + period, period)
    counter: list[int | None] = [10**9 + round(1_000 * truth.until(time)) for time in times]
    start, end = sorted(data.draw(st.tuples(*[st.integers(0, len(times))] * 2)))
    counter[start:end] = [None] * (end - start)
    power = [truth.mean_w(time, 1.0) for time in times]
    readings = device(times, counter=counter, power=power, power_window_s=1.0, power_limit_w=LIMIT_W)
    assert holds(told(truth, readings), truth)


@settings(deadline=None)
@given(loads, st.data())
def test_a_reset_in_an_outage_of_all_holds_the_truth(truth: Truth, data: st.DataObject) -> None:
    """The driver is loaded anew at some time in an outage: the counter begins again from 0."""
    times = grid(truth.seconds, 1.0)
    if len(times) < 4:
        return
    at = data.draw(st.integers(1, len(times) - 2))
    end = data.draw(st.integers(at + 1, len(times) - 1))
    reset = data.draw(st.floats(times[at], times[end]))
    kept = [*times[: at + 1], *times[end:]]
    counter = [
        round(1_000 * (truth.until(time) - (truth.until(reset) if time >= reset else 0))) for time in kept
    ]
    power = [truth.mean_w(time, 1.0) for time in kept]
    readings = device(kept, counter=counter, power=power, power_window_s=1.0, power_limit_w=LIMIT_W)
    totals = told(truth, readings)
    lost = any(late < early for early, late in pairwise(counter))
    if lost or times[end] - times[at] > 5 or totals.counts.resets or totals.counts.doubtful_resets:
        assert holds(totals, truth)
