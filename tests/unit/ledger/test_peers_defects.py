"""Defects that were found in other tools' energy accounting, each with the figures that they got wrong."""

from __future__ import annotations

import pytest

from trimtab_monitor.ledger.testing import RAPL_RANGE, device, joules_by_method, ledger_of, rapl, rapl_trace

HOUR = 3_600


def test_d1_memory_zones_count_on_top_of_their_packages() -> None:
    """Counted elsewhere: 200 J of 280 J, as child zones were skipped."""
    ledger = ledger_of(
        rapl([0, 1], [0, 100_000_000], uuid="intel-rapl:0"),
        rapl([0, 1], [0, 100_000_000], uuid="intel-rapl:1"),
        rapl([0, 1], [0, 80_000_000], uuid="intel-rapl:0:0", component="dram"),
    )
    assert ledger.totals().joules == 280


def test_d2_an_hour_without_a_read_loses_no_wraps() -> None:
    """Counted elsewhere: 113,570 J of 900,000 J, as three wraps were not seen."""
    counter = [0, 250_000_000, 250_000_000 * HOUR % RAPL_RANGE]
    totals = ledger_of(rapl([0, 1, HOUR], counter)).totals()
    assert (totals.joules, totals.counts.ambiguous_wraps) == (900_000, 1)
    assert totals.low_uj < 900_000 * 10**6 < totals.high_uj


def test_d2_without_any_rate_the_lost_wraps_are_told_with_bounds() -> None:
    totals = ledger_of(rapl([0, HOUR], [0, 250_000_000 * HOUR % RAPL_RANGE])).totals()
    assert totals.joules == pytest.approx(113_570, abs=1)
    assert totals.gap_seconds == HOUR
    assert totals.low_uj <= 900_000 * 10**6 <= totals.high_uj + totals.estimated_high_uj


@pytest.mark.parametrize("method", ["power_average", "power_instant"])
def test_d4_constant_power_is_not_dropped_as_a_repetition(method: str) -> None:
    """Counted elsewhere: 0 J."""
    assert ledger_of(device(range(61), power=[700] * 61, method=method)).totals().joules == 42_000


def test_d4_idle_then_a_burst() -> None:
    """Counted elsewhere: 110,200 J, by a trapezoid over what was left after dropping equal readings."""
    power = [60.0] * 291 + [700.0] * 10
    totals = ledger_of(device(range(301), power=power, method="power_average", power_window_s=1.0)).totals()
    assert totals.joules == 24_400


def test_d4_a_burst_between_two_rests() -> None:
    """Counted elsewhere: 48,000 J."""
    power = [100.0] * 61 + [700.0] * 60 + [100.0] * 60
    totals = ledger_of(device(range(181), power=power, method="power_average", power_window_s=1.0)).totals()
    assert totals.joules == 54_000


def test_d6_a_wrap_is_not_a_second_of_0_watts() -> None:
    """Counted elsewhere: 0 W for the sample in which the counter wrapped."""
    times, counter = rapl_trace(1, 10, watts=250, start=RAPL_RANGE - 1_100_000_000)
    totals = ledger_of(rapl(times, counter)).totals()
    assert (totals.joules, totals.counts.wraps, totals.gap_us) == (2_500, 1, 0)


def test_d6_energy_between_epochs_counts() -> None:
    """Counted elsewhere: 300 J of 500 J, as what was used outside epochs was dropped."""
    assert ledger_of(device(range(6), counter=[100_000 * i for i in range(6)])).totals().joules == 500


def test_d8_a_wrap_is_never_negative_and_units_never_mix() -> None:
    """Counted elsewhere: a negative energy at a wrap, and GPU millijoules beside CPU microjoules."""
    ledger = ledger_of(
        rapl([0, 1], [RAPL_RANGE - 100_000_000, 150_000_000]),
        device([0, 1], counter=[5_000_000, 5_700_000]),
    )
    assert {row.component: row.joules for row in ledger.rows()} == {"gpu": 700, "package": 250}


def test_d8_a_reset_of_a_driver_is_never_negative() -> None:
    """Counted elsewhere: -4,998,800 mJ taken as the energy of that second."""
    readings = device(range(4), counter=[4_300_000, 5_000_000, 1_200, 701_200], power=[700] * 4)
    assert joules_by_method(ledger_of(readings)) == {"counter": 1_400, "power_instant": 700}


def test_d9_the_total_is_gpus_processors_and_memory_without_the_platform() -> None:
    """Counted elsewhere: the GPU alone, and psys as if it were a processor."""
    ledger = ledger_of(
        device([0, 1], counter=[0, 700_000]),
        rapl([0, 1], [0, 200_000_000]),
        rapl([0, 1], [0, 80_000_000], uuid="intel-rapl:0:0", component="dram"),
        rapl([0, 1], [0, 1_100_000_000], uuid="intel-rapl:2", component="host", name="psys"),
    )
    assert ledger.totals().joules == 980
    assert [row.joules for row in ledger.rows() if not row.summed] == [1_100]


@pytest.mark.parametrize("wrong", [-1, 2**63 - 1, 9 * 10**17])
def test_d10_no_reading_makes_energy_that_no_device_can_draw(wrong: int) -> None:
    """Counted elsewhere: 9.2e14 J, by an unsigned difference below 0."""
    base = 10**9
    counter = [base, base + 100_000, wrong if wrong > 0 else None, base + 300_000, base + 400_000]
    totals = ledger_of(device(range(5), counter=counter, power=[100] * 5)).totals()
    assert (totals.joules, totals.gap_us) == (400, 0)


def test_d10_the_parts_of_a_node_are_not_told_beside_a_meter_that_says_less() -> None:
    ledger = ledger_of(
        device(range(11), power=[400] * 11, uuid="GPU-1"),
        device(range(11), power=[300] * 11, component="host", uuid="psys"),
    )
    assert ledger.totals().joules == 4_000
