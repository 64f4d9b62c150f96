"""A counter held against power, minute by minute."""

from __future__ import annotations

import pytest

from trimtab_monitor.ledger import EnergyLedger
from trimtab_monitor.ledger.notes import energy_notes
from trimtab_monitor.ledger.testing import device, joules_by_method, ledger_of, restored

OLD = 10**9
SECONDS = 301


def trace(
    *rates: tuple[int, float], watts: float = 700, window: float | None = 1.0, update: float | None = 0.1
) -> EnergyLedger:
    """A device at constant power whose counter tells, for so many seconds each, so much of that."""
    counter = [OLD]
    for seconds, rate in rates:
        counter += [counter[-1] + round(1_000 * watts * rate * (i + 1)) for i in range(seconds)]
    times = range(len(counter))
    return ledger_of(
        device(
            times,
            counter=counter,
            power=[watts] * len(times),
            power_window_s=window,
            power_update_s=update,
        )
    )


def test_a_sound_counter_counts() -> None:
    ledger = trace((300, 1.04))
    assert joules_by_method(ledger) == {"counter": pytest.approx(300 * 700 * 1.04)}
    assert ledger.counter_checks() == {"GPU-1": pytest.approx(1.04)}


@pytest.mark.parametrize("rate", [0.1, 0.45, 0.5, 2.0])
def test_a_counter_that_goes_wrong_late_is_taken_back_by_the_minute(rate: float) -> None:
    ledger = trace((600, 1.0), (120, rate))
    assert joules_by_method(ledger) == {"counter": 600 * 700, "power_average": 120 * 700}
    assert sum(energy_uj for _, energy_uj in ledger.by_hour()) == 720 * 700 * 10**6
    assert ledger.counter_checks() == {"GPU-1": pytest.approx(rate)}
    assert any("power counted in its stead" in note for note in energy_notes(ledger, ledger.totals()))


def test_a_counter_that_passes_again_for_a_minute_counts_again() -> None:
    ledger = restored(trace((60, 0.2), (60, 0.7), (60, 1.0), (60, 1.0)))
    assert joules_by_method(ledger) == {"power_average": 180 * 700, "counter": 60 * 700}


def test_a_counter_a_little_off_is_told_and_counts() -> None:
    ledger = trace((120, 0.8))
    assert joules_by_method(ledger) == {"counter": pytest.approx(120 * 700 * 0.8)}
    assert any("0.80 times" in note for note in energy_notes(ledger, ledger.totals()))


@pytest.mark.parametrize(("window", "update"), [(None, None), (0.025, 0.1), (0.1, 0.1)])
def test_power_that_does_not_see_all_the_time_proves_no_counter_wrong(
    window: float | None, update: float | None
) -> None:
    ledger = trace((180, 2.4), window=window, update=update)
    assert joules_by_method(ledger) == {"counter": pytest.approx(180 * 700 * 2.4)}
    assert ledger.counter_checks() == {"GPU-1": pytest.approx(2.4)}
    assert any("momentary" in note for note in energy_notes(ledger, ledger.totals()))


def test_an_average_read_too_rarely_proves_no_counter_wrong() -> None:
    times = range(0, 301, 15)
    counter = [OLD + 1_500_000 * i for i in range(len(times))]
    readings = device(times, counter=counter, power=[700] * len(times), power_window_s=1.0)
    assert joules_by_method(ledger_of(readings)) == {"counter": 1_500 * 20}


def test_resets_and_nonsense_are_no_part_of_a_check() -> None:
    counter = [OLD + 700_000 * i for i in range(50)] + [700_000 * i for i in range(50)]
    counter[20] = 2**62
    ledger = ledger_of(device(range(100), counter=counter, power=[700] * 100, power_window_s=1.0))
    assert ledger.counter_checks() == {"GPU-1": 1.0}
    assert ledger.totals().joules == 99 * 700


def test_a_counter_a_little_off_widens_the_interval_to_what_power_says() -> None:
    totals = trace((60, 0.8)).totals()
    assert totals.energy_uj == totals.low_uj == 60 * 560 * 10**6
    assert totals.high_joules == pytest.approx(60 * 700, rel=0.02)


def test_of_an_idle_board_at_0_57_both_are_told() -> None:
    totals = trace((60, 0.57), watts=100).totals()
    assert totals.energy_uj == totals.low_uj == 60 * 57 * 10**6
    assert totals.high_joules == pytest.approx(60 * 100, rel=0.02)


def test_of_one_that_is_renewed_a_tenth_of_a_second_later_neither_end_counts() -> None:
    times = [0.04, 0.14, *(0.14 + second for second in range(1, 90)), 89.94, 90.04]
    counter = [OLD + round(10_000 * 500 * time) for time in times]
    power = [None, *[500.0] * (len(times) - 3), None, 60.0]
    readings = device(times, counter=counter, power=power, power_window_s=1.0, power_limit_w=700.0)
    assert ledger_of(readings).totals().joules == pytest.approx(500 * 90, rel=0.005)


def test_a_counter_ten_times_too_fast_is_never_counted() -> None:
    times = range(91)
    watts = [650 if time % 2 else 250 for time in times]
    counter = [OLD + 10_000 * sum(watts[: time + 1]) for time in times]
    readings = device(times, counter=counter, power=watts, power_window_s=1.0, power_limit_w=700.0)
    assert ledger_of(readings).totals().joules == sum(watts[1:])


@pytest.mark.parametrize("rate", [0.5, 2.0])
def test_momentary_power_that_tells_half_or_twice_as_much_widens_the_interval(rate: float) -> None:
    """It proves nothing, as it may see the same part of every step: the counter counts, and it is told."""
    times = range(301)
    counter = [10**9 + round(400_000 * rate * each) for each in times]
    ledger = ledger_of(device(times, counter=counter, power=[400] * 301))
    totals = ledger.totals()
    assert totals.joules == 120_000 * rate
    assert totals.low_joules is not None
    assert totals.high_joules is not None
    assert totals.low_joules <= 120_000 <= totals.high_joules
    assert any("momentary power does not see the load" in note for note in energy_notes(ledger, totals))
