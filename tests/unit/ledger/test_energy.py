"""How readings become joules: counters, power, gaps, nonsense, clocks."""

from __future__ import annotations

import math
from array import array
from collections.abc import Sequence
from dataclasses import replace

import msgspec
import pytest

from trimtab import wire
from trimtab_monitor.ledger import EnergyLedger
from trimtab_monitor.ledger.testing import (
    RAPL_RANGE,
    T0,
    device,
    joules_by_method,
    ledger_of,
    rapl,
    rapl_trace,
    restored,
)

HOUR = 3600


# --- the reference cases ---


@pytest.mark.parametrize("period", [1, 10, 60, 300])
def test_a_package_that_wraps_three_times_in_an_hour_loses_nothing(period: float) -> None:
    times, counter = rapl_trace(period, HOUR, watts=250)
    totals = ledger_of(rapl(times, counter)).totals()
    assert totals.energy_uj == 900_000 * 10**6
    assert totals.counts.wraps == 3
    assert totals.gap_us == 0


def test_a_small_counter_wraps_every_few_minutes() -> None:
    times = range(0, HOUR + 1, 30)
    small = 65_532_610_987
    ledger = ledger_of(rapl(times, [round(250e6 * time) % small for time in times], counter_range=small))
    assert ledger.totals().energy_uj == 900_000 * 10**6
    assert ledger.totals().counts.wraps == 13


def test_two_reads_an_hour_apart_let_power_choose_the_wraps() -> None:
    counter = 900_000 * 10**6 % RAPL_RANGE
    totals = ledger_of(rapl([0, HOUR], [0, counter], power=[240, 255])).totals()
    assert totals.energy_uj == 900_000 * 10**6
    assert totals.counts.wraps == 3


def test_without_power_wraps_that_cannot_be_known_are_a_gap() -> None:
    counter = 900_000 * 10**6 % RAPL_RANGE
    totals = ledger_of(rapl([0, HOUR], [0, counter])).totals()
    assert totals.energy_uj == counter
    assert totals.gap_seconds == HOUR
    assert totals.counts.ambiguous_wraps == 1


def test_a_driver_reload_resets_the_counter_and_power_fills_in() -> None:
    ledger = ledger_of(device([0, 1, 2, 3], counter=[4_300_000, 5_000_000, 1_200, 701_200], power=[700] * 4))
    assert joules_by_method(ledger) == {"counter": 1_400.0, "power_instant": 700.0}
    assert ledger.totals().counts.resets == 1
    assert ledger.totals().gap_us == 0


def test_without_power_a_reset_counts_what_is_certain_and_tells_the_gap() -> None:
    ledger = ledger_of(device([0, 1, 2], counter=[4_300_000, 5_000_000, 1_200]))
    totals = ledger.totals()
    assert totals.energy_uj == 701_200_000
    assert totals.gap_seconds == 1
    assert totals.estimated_joules == pytest.approx(700 - 1.2)


@pytest.mark.parametrize("period", [1, 5, 60])
def test_constant_power(period: int) -> None:
    times = range(0, 61, period)
    assert ledger_of(device(times, power=[700] * len(times))).totals().energy_uj == 42_000 * 10**6


def test_idle_then_a_step_of_power() -> None:
    power = [60.0] * 290 + [700.0] * 10
    average = device(range(301), power=[60.0, *power], method="power_average")
    assert ledger_of(average).totals().energy_uj == 24_400 * 10**6
    instant = device(range(301), power=[*power, 700.0])
    assert ledger_of(instant).totals().joules == pytest.approx(24_400, abs=321)


def test_three_averages_of_a_minute() -> None:
    rectangles = device([0, 60, 120, 180], power=[100, 100, 700, 100], method="power_average")
    assert ledger_of(rectangles).totals().energy_uj == 54_000 * 10**6


def test_packages_and_dram_add_up_and_the_node_meter_does_not() -> None:
    ledger = ledger_of(
        rapl([0, 1], [0, 100_000_000], uuid="intel-rapl:0"),
        rapl([0, 1], [0, 100_000_000], uuid="intel-rapl:1"),
        rapl([0, 1], [0, 80_000_000], uuid="intel-rapl:0:0", component="dram"),
        rapl([0, 1], [0, 320_000_000], uuid="psys", component="host"),
    )
    assert ledger.totals().energy_uj == 280 * 10**6
    assert [row.device for row in ledger.rows() if not row.summed] == ["psys"]


def test_a_node_meter_counts_where_there_is_nothing_else() -> None:
    ledger = ledger_of(device(range(11), power=[400] * 11, component="host", uuid="psys"))
    assert ledger.totals().joules == 4_000
    assert sum(energy_uj for _, energy_uj in ledger.by_hour()) == 4_000 * 10**6


def test_a_model_of_the_host_counts_beside_the_gpus_that_are_measured() -> None:
    model = device([0, 1, 2], power=[90, 30, 50], component="host", uuid="host", method="model")
    ledger = ledger_of(model, device([0, 1, 2], counter=[0, 700_000, 1_400_000]))
    assert ledger.totals().joules == 1_400 + 30 + 50
    assert all(row.summed for row in ledger.rows())


def test_eight_ranks_that_send_the_readings_of_one_node_count_once() -> None:
    readings = device(range(11), power=[400] * 11)
    assert ledger_of(*[readings] * 8).totals().energy_uj == ledger_of(readings).totals().energy_uj


def test_amd_and_intel_units_add_up_without_drift() -> None:
    step = 6_554  # a tenth of a joule and a little, in 15.2587890625 uJ
    times = [0.1 * i for i in range(10_001)]
    counter = [step * i for i in range(10_001)]
    ledger = ledger_of(device(times, counter=counter, counter_unit_j=1.52587890625e-05))
    assert ledger.totals().energy_uj == counter[-1] * 15_625 // 1_024


# --- missing is not zero ---


def test_no_reading_at_all_is_not_zero_joules() -> None:
    assert EnergyLedger().totals().joules is None
    assert ledger_of(device([0], power=[700])).totals().joules is None


def test_a_device_whose_power_cannot_be_read_is_a_gap() -> None:
    (row,) = ledger_of(device(range(11), util=None)).rows()
    assert (row.method, row.joules, row.gap_seconds) == ("missing", None, 10)


def test_a_host_that_only_tells_its_load_is_no_energy_sensor() -> None:
    assert ledger_of(device(range(11), component="host")).rows() == []


def test_an_outage_of_power_is_told_and_estimated_apart() -> None:
    totals = ledger_of(device([0, 1, 2, 30, 31], power=[100, 100, 100, 300, 300])).totals()
    assert totals.joules == 100 + 100 + 300
    assert totals.gap_seconds == 28
    assert totals.estimated_joules == 28 * 200


def test_an_outage_of_a_counter_is_measured_by_the_counter() -> None:
    totals = ledger_of(device([0, 1, 2, 30], counter=[0, 100_000, 200_000, 3_000_000])).totals()
    assert (totals.joules, totals.gap_us) == (3_000, 0)


def test_a_slow_sampler_has_no_gaps() -> None:
    times = range(0, 1_000, 20)
    totals = ledger_of(device(times, power=[100] * len(times))).totals()
    assert (totals.joules, totals.gap_us) == (98_000, 0)


def test_one_lost_reading_is_bridged() -> None:
    totals = ledger_of(device(range(5), power=[100, 100, None, 100, 100])).totals()
    assert (totals.joules, totals.gap_us, totals.counts.missing) == (400, 0, 1)


def test_the_ends_of_the_run_are_held() -> None:
    ledger = EnergyLedger()
    ledger.open("boot1", T0 - 1)
    ledger.add(device([0, 1], power=[100, 300]))
    ledger.close(T0 + 3)
    assert ledger.totals().joules == 100 + 200 + 600


def test_a_sensor_that_died_before_the_end_is_a_gap() -> None:
    ledger = ledger_of(device(range(3), power=[100, 100, 100]))
    ledger.close(T0 + 62)
    totals = ledger.totals()
    assert (totals.joules, totals.gap_seconds, totals.estimated_joules) == (200, 60, 6_000)


def test_the_end_of_a_counter_is_told_by_power_until_its_last_reading() -> None:
    ledger = ledger_of(device([0, 1], counter=[0, 100_000], power=[100, 100]))
    ledger.close(T0 + 2)
    assert joules_by_method(ledger) == {"counter": 100, "power_instant": 100}
    ledger.add(device([3], counter=[280_000], power=[70]))
    assert joules_by_method(ledger) == {"counter": 210}


# --- nonsense ---


@pytest.mark.parametrize("power", [-1.0, 4_501.0, math.nan, math.inf, -math.inf])
def test_nonsense_power_is_left_out_and_counted(power: float) -> None:
    totals = ledger_of(device(range(4), power=[100, power, 100, 100])).totals()
    assert (totals.joules, totals.counts.rejected) == (300, 1)


def test_no_power_on_a_working_gpu_is_missing() -> None:
    readings = device(range(4), power=[100, 0, 100, 100])
    idle = ledger_of(readings).totals()
    busy = ledger_of(_with_util(readings, 0.9)).totals()
    assert (idle.joules, idle.counts.rejected) == (50 + 50 + 100, 0)
    assert (busy.joules, busy.counts.rejected) == (300, 1)


def _with_util(readings: wire.Device, util: float) -> wire.Device:
    return replace(readings, util=array("d", [util] * len(readings.time)))


def test_a_counter_that_jumps_and_comes_back_adds_nothing() -> None:
    counter = [100_000, 200_000, 9_000_000_000, 400_000, 500_000]
    totals = ledger_of(device(range(5), counter=counter, power=[100] * 5)).totals()
    assert (totals.joules, totals.gap_us, totals.counts.rejected) == (400, 0, 1)


@pytest.mark.parametrize("time", [-1e9 - T0, 1e300])
def test_an_impossible_time_is_left_out(time: float) -> None:
    ledger = ledger_of(device([0, time, 1], power=[100] * 3))
    assert ledger.totals().joules == 100
    assert ledger.totals().counts.rejected == 1
    assert restored(ledger) == ledger


def test_a_method_never_heard_of_is_a_model_unless_it_has_a_counter() -> None:
    assert joules_by_method(ledger_of(device([0, 1], power=[100, 100], method="guess"))) == {"model": 100}
    assert joules_by_method(ledger_of(device([0, 1], counter=[0, 100_000], method="nvml"))) == {
        "counter": 100
    }


# --- a counter that comes and goes ---


def test_a_device_goes_on_under_power_when_its_counter_is_lost() -> None:
    ledger = ledger_of(
        device([0, 1, 2], counter=[0, 100_000, 200_000], power=[100] * 3),
        device([3, 4], power=[100] * 2, method="power_average"),
    )
    assert joules_by_method(ledger) == {"counter": 200, "power_average": 200}


@pytest.mark.parametrize("returned_at", [330_000, 500_000])
def test_a_counter_that_comes_back_has_the_last_word(returned_at: int) -> None:
    counter = [0, 100_000, None, None, returned_at, returned_at + 100_000, returned_at + 300_000]
    ledger = ledger_of(device(range(7), counter=counter, power=[100] * 7))
    assert ledger.totals().joules == (returned_at + 300_000) / 1_000


def test_power_that_told_too_much_is_taken_back() -> None:
    counter = [0, 100_000, None, None, 150_000, 250_000, 350_000]
    old = [None if count is None else count + 10**9 for count in counter]
    ledger = ledger_of(device(range(7), counter=old, power=[100] * 7))
    assert joules_by_method(ledger) == {"counter": 350}
    assert sum(energy_uj for _, energy_uj in ledger.by_hour()) == 350 * 10**6


def test_a_counter_of_another_unit_starts_anew() -> None:
    ledger = ledger_of(
        device([0, 1], counter=[0, 100_000]),
        device([2, 3], counter=[500, 600], counter_unit_j=1.0),
    )
    totals = ledger.totals()
    assert (totals.joules, totals.gap_seconds) == (200, 1)


def test_the_counter_is_held_against_power() -> None:
    counter = [90_000 * i for i in range(61)]
    ledger = ledger_of(device(range(60), counter=counter[:60], power=[100] * 60))
    assert ledger.counter_checks() == {}, "less than a minute says little"
    ledger.add(device([60], counter=counter[60:], power=[100]))
    assert ledger.counter_checks() == {"GPU-1": pytest.approx(0.9)}


# --- clocks ---


def test_late_and_repeated_readings_are_left_out() -> None:
    first, again, on = device([0, 1, 2], power=[100] * 3), device([1, 1.5, 2], power=[900] * 3), [3]
    ledger = ledger_of(first, again, device(on, power=[100]))
    totals = ledger.totals()
    assert (totals.joules, totals.counts.late) == (300, 3)


def test_a_spool_that_comes_after_what_followed_it_counts() -> None:
    later = device(range(600, 1_201), power=[100] * 601)
    earlier = device(range(600), power=[100] * 600)
    totals = ledger_of(later, earlier).totals()
    assert (totals.joules, totals.gap_seconds, totals.counts.late) == (120_000, 0, 0)


def test_a_clock_set_back_counts_no_moment_twice() -> None:
    before = device(range(101), counter=[100_000 * i for i in range(101)])
    after = device(range(71, 201), counter=[100_000 * (i + 30) for i in range(71, 201)])
    totals = ledger_of(before, after).totals()
    assert totals.joules == 23_000
    assert totals.counts.late == 30


def test_an_hour_without_readings_is_another_life_of_the_run() -> None:
    ledger = ledger_of(
        device([0, 1], counter=[0, 100_000]),
        device([HOUR + 2, HOUR + 3], counter=[90_000_000, 90_100_000]),
    )
    totals = ledger.totals()
    assert (totals.joules, totals.gap_us, totals.counts.jumps) == (200, 0, 1)


def test_a_clock_that_was_a_day_ahead_for_a_moment_loses_no_later_energy() -> None:
    day = 24 * HOUR
    ledger = ledger_of(
        device([0, 1, 2], power=[100] * 3),
        device([day, day + 1], power=[100] * 2),
        device([3, 4, 5], power=[100] * 3),
    )
    assert ledger.totals().joules == 200 + 100 + 300


def test_a_reboot_of_the_host_starts_its_counters_anew() -> None:
    ledger = ledger_of(
        device([0, 1], counter=[5_000_000, 5_100_000], boot_id="boot1"),
        device([100, 101], counter=[0, 100_000], boot_id="boot2"),
    )
    (row,) = ledger.rows()
    assert (row.joules, row.gap_seconds) == (200, 0)


# --- bounded memory ---


def test_a_long_run_is_no_larger_than_a_short_one_but_for_its_hours() -> None:
    short, long = (
        ledger_of(device(range(0, hours * HOUR, 10), power=[100] * (hours * 360))) for hours in (1, 200)
    )
    assert len(long.parts.curve.seconds.bins) == 600
    assert len(long.parts.curve.minutes.bins) == 1_440
    assert len(long.by_hour()) == 201
    (of_short,), (of_long,) = short.streams.values(), long.streams.values()
    assert len(msgspec.msgpack.encode(of_long)) < len(msgspec.msgpack.encode(of_short)) + 64


@pytest.mark.parametrize("counted", [True, False])
def test_the_order_in_which_batches_and_readings_come_changes_nothing(counted: bool) -> None:
    def read(times: Sequence[int]) -> wire.Device:
        counter = [10**9 + 500 * each * each for each in times] if counted else None
        return device(times, counter=counter, power=None if counted else [100 + each for each in times])

    batches = [list(range(start, start + 20)) for start in range(0, 800, 20)]
    whole = ledger_of(*map(read, batches)).totals()
    swapped = [[each[at ^ 1] for at in range(20)] for each in batches]
    twos = [batches[at ^ 1] for at in range(40)]
    for order in (batches[::-1], swapped, twos):
        totals = ledger_of(*map(read, order)).totals()
        assert (totals.energy_uj, totals.gap_us) == (whole.energy_uj, 0)


def test_power_that_comes_late_fills_the_gap_that_it_left() -> None:
    early, late = device(range(101), power=[100] * 101), device(range(130, 201), power=[100] * 71)
    ledger = ledger_of(early, late)
    assert (ledger.totals().joules, ledger.totals().gap_seconds) == (17_000, 30)
    ledger.add(device(range(101, 130), power=[100] * 29))
    assert (ledger.totals().joules, ledger.totals().gap_seconds) == (20_000, 0)
