"""What power read around a run's beginning and end tells of it: averages lag, momentary power is old."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from trimtab_monitor.ledger import EnergyLedger
from trimtab_monitor.ledger.testing import T0, device

IDLE_W, BUSY_W, LIMIT_W = 60.0, 500.0, 700.0
END_S = 30.0

Power = Callable[[float], float]
"""The energy in joules from second 0 to a time."""


def constant(time: float) -> float:
    return BUSY_W * time if time > 0 else IDLE_W * time


def step(time: float) -> float:
    return 100.0 * min(time, 12.3) + BUSY_W * max(0.0, time - 12.3) if time > 0 else IDLE_W * time


def run_of(joules: Power, *times: float, window: float = 1.0) -> EnergyLedger:
    """A run from second 0 to 30, whose power averages the second before each reading."""
    power = [(joules(time) - joules(time - window)) / window for time in times]
    ledger = EnergyLedger()
    ledger.open("boot1", T0)
    ledger.add(
        device(
            times,
            power=power,
            method="power_average",
            power_window_s=window,
            power_update_s=0.1,
            power_limit_w=LIMIT_W,
        )
    )
    ledger.close(T0 + END_S)
    return ledger


def every(period: float, first: float, last: float) -> list[float]:
    times = [first + period * i for i in range(int((last - first) / period) + 1)]
    return times if times[-1] == last else [*times, last]


@pytest.mark.parametrize("joules", [constant, step])
@pytest.mark.parametrize("first", [0.01, 0.05, 0.12])
@pytest.mark.parametrize("period", [0.1, 0.3, 1.0])
def test_readings_that_reach_back_before_the_run_tell_of_it_alone(
    joules: Power, first: float, period: float
) -> None:
    totals = run_of(joules, *every(period, first, 29.96)).totals()
    truth_j = joules(END_S)
    assert totals.joules == pytest.approx(truth_j, rel=0.003)
    assert totals.low_uj <= truth_j * 1e6 <= totals.high_uj


def test_at_constant_power_readings_a_window_apart_tell_all_of_it() -> None:
    assert run_of(constant, *every(1.0, 0.07, 29.96)).totals().joules == pytest.approx(BUSY_W * END_S)


def test_what_its_first_window_leaves_out_counts_as_that() -> None:
    assert run_of(constant, 0.07, *every(1.0, 1.37, 29.96)).totals().joules == pytest.approx(BUSY_W * END_S)


def test_momentary_power_that_is_older_than_the_run_is_not_its_own() -> None:
    times = [0.02, *(0.1 * i for i in range(2, 300))]
    power = [IDLE_W, *[BUSY_W] * 298]
    ledger = EnergyLedger()
    ledger.open("boot1", T0)
    ledger.add(device(times, power=power, power_window_s=0.025, power_update_s=0.1))
    ledger.close(T0 + END_S)
    assert ledger.totals().joules == pytest.approx(BUSY_W * END_S)


def counted_to(end_w: float, *times: float, joules: Power) -> EnergyLedger:
    """A counter that is read exactly, with a momentary power at its last reading alone."""
    counter = [10**9 + round(1000 * joules(time)) for time in times]
    power = [None] * (len(times) - 1) + [end_w]
    ledger = EnergyLedger()
    ledger.open("boot1", T0)
    ledger.add(device(times, counter=counter, power=power, power_limit_w=LIMIT_W, power_window_s=0.025))
    ledger.close(T0 + END_S)
    return ledger


def falls_at_the_end(time: float) -> float:
    return BUSY_W * min(time, END_S) + IDLE_W * max(0.0, time - END_S)


def test_where_load_falls_at_the_end_the_rate_before_tells_what_lies_before_it() -> None:
    ledger = counted_to(300.0, 0.0, 29.91, 30.01, joules=falls_at_the_end)
    assert ledger.totals().joules == pytest.approx(BUSY_W * END_S, rel=1e-6)


def test_a_rate_that_did_not_go_on_up_to_the_end_tells_nothing_of_it() -> None:
    def falls_before(time: float) -> float:
        return BUSY_W * min(time, 29.91) + IDLE_W * max(0.0, time - 29.91)

    ledger = counted_to(IDLE_W, 0.0, 29.91, 30.01, joules=falls_before)
    assert ledger.totals().joules == pytest.approx(falls_before(END_S), rel=1e-6)


def test_a_slow_driver_blurs_both_ends_of_a_counter() -> None:
    times = [0.0, 15.0, 30.0]
    counter = [10**9 + round(1000 * BUSY_W * time) for time in times]
    ledger = EnergyLedger()
    ledger.open("boot1", T0)
    ledger.add(device(times, counter=counter, power_limit_w=LIMIT_W, power_update_s=0.3))
    ledger.close(T0 + END_S)
    totals = ledger.totals()
    assert totals.joules == BUSY_W * END_S
    assert (totals.high_uj - totals.low_uj) / 1e6 == pytest.approx(2 * 0.2 * LIMIT_W)


def test_a_device_that_was_lost_is_estimated_half_way_between_its_work_and_rest() -> None:
    watts = [100.0] * 10 + [500.0] * 11
    ledger = EnergyLedger()
    ledger.open("boot1", T0)
    ledger.add(device(range(21), power=watts, power_limit_w=LIMIT_W))
    ledger.add(device([21, 22], power=[None, None], power_limit_w=LIMIT_W))
    ledger.close(T0 + 60)
    totals = ledger.totals()
    assert totals.energy_uj is not None
    mean_w = totals.energy_uj / 20e6
    assert totals.gap_seconds == 40
    assert totals.estimated_joules == pytest.approx(40 * (mean_w + 100) / 2)
    assert 0 <= totals.estimated_low_uj < totals.estimated_uj < totals.estimated_high_uj == 40 * 700 * 10**6
