"""Counters that begin again from 0, jump, or go away for a while."""

from __future__ import annotations

import pytest

from trimtab_monitor.ledger.notes import energy_notes
from trimtab_monitor.ledger.testing import device, joules_by_method, ledger_of

OLD = 10**9
"""A counter that no reset within these times can have reached."""


def test_a_reset_that_never_seems_to_go_backwards_is_seen_by_power() -> None:
    """At 0.5 s of the second interval the driver is loaded anew: 350 J in it, where 700 J were used."""
    readings = device(range(4), counter=[100, 200_000, 350_000, 1_050_000], power=[700] * 4)
    ledger = ledger_of(readings)
    assert ledger.totals().counts.resets == 2, "the first interval is short of 500 J too"
    assert joules_by_method(ledger) == {"counter": 700, "power_instant": 1_400}


def test_an_outage_in_which_the_counter_grows_past_its_old_value_keeps_what_power_told() -> None:
    times = range(102)
    counter = [1_000, 701_000, *[None] * 99, 3_500_000]
    ledger = ledger_of(device(times, counter=counter, power=[700] * 102))
    assert ledger.totals().joules == 101 * 700
    assert ledger.totals().counts.resets == 1


def test_a_possible_reset_in_the_dark_is_told_with_bounds() -> None:
    counter = [1_000_000, 1_700_000, 5_900_000]
    totals = ledger_of(device([0, 1, 31], counter=counter, power=[700] * 3)).totals()
    assert totals.counts.doubtful_resets == 1
    assert (totals.joules, totals.gap_seconds) == (700 + 4_200, 30)
    assert totals.low_uj <= 31 * 700 * 10**6 <= totals.high_uj + totals.estimated_high_uj


def test_an_idle_outage_of_an_old_counter_is_measured() -> None:
    counter = [OLD, OLD + 700_000, OLD + 700_000 + 1_800_000]
    totals = ledger_of(device([0, 1, 31], counter=counter, power=[700] * 3)).totals()
    assert (totals.joules, totals.gap_us, totals.counts.doubtful_resets) == (2_500, 0, 0)


def test_without_power_a_rate_that_falls_to_half_on_a_young_counter_is_doubted() -> None:
    totals = ledger_of(device([0, 1, 2, 3], counter=[0, 700_000, 800_000, 1_500_000])).totals()
    assert totals.counts.doubtful_resets == 1
    assert (totals.joules, totals.gap_seconds) == (700 + 100 + 700, 1)
    assert totals.estimated_joules == 600


def test_a_counter_that_jumps_for_good_is_followed_again_from_there() -> None:
    counter = [OLD, OLD + 100_000, *[8 * OLD + 100_000 * i for i in range(2, 6)]]
    totals = ledger_of(device(range(6), counter=counter, power=[100] * 6)).totals()
    assert (totals.joules, totals.gap_us, totals.counts.rejected) == (500, 0, 1)


def test_a_counter_set_back_far_from_0_is_followed_again_from_there() -> None:
    counter = [8 * OLD, 8 * OLD + 100_000, *[OLD + 100_000 * i for i in range(2, 6)]]
    totals = ledger_of(device(range(6), counter=counter, power=[100] * 6)).totals()
    assert (totals.joules, totals.gap_us, totals.counts.rejected) == (500, 0, 1)


def test_the_counter_has_the_last_word_over_gaps_of_an_outage_too() -> None:
    counter = [OLD, OLD + 100_000, None, None, OLD + 4_100_000]
    power = [100.0, 100.0, 100.0, 100.0, 100.0]
    ledger = ledger_of(device([0, 1, 2, 40, 41], counter=counter, power=power))
    assert joules_by_method(ledger) == {"counter": 4_100}
    assert ledger.totals().gap_us == 0


def test_energy_of_an_outage_is_spread_as_power_told_it() -> None:
    """An hour at 100 W and one at 700 W without a counter, which says a tenth less for both."""
    times = range(0, 7_201, 5)
    power = [100.0 if time < 3_600 else 700.0 for time in times]
    counter = [OLD, *[None] * (len(times) - 2), OLD + 2_592_000_000]
    ledger = ledger_of(device(times, counter=counter, power=power, power_window_s=5.0))
    by_hour = [energy_uj / 1e6 for _, energy_uj in ledger.by_hour()]
    assert sum(by_hour) == pytest.approx(2_592_000)
    assert min(by_hour) > 0


def test_a_counter_stuck_at_nonsense_is_not_followed() -> None:
    counter = [OLD, OLD + 100_000, *[2**63 - 1] * 3, OLD + 500_000, OLD + 600_000]
    totals = ledger_of(device(range(7), counter=counter, power=[100] * 7)).totals()
    assert (totals.joules, totals.gap_us, totals.counts.rejected) == (600, 0, 3)


def test_momentary_power_that_agreed_so_far_finds_a_reset_that_never_seems_to_go_backwards() -> None:
    """The counter is away for five minutes; power tells all the time."""
    times = range(421)
    counter = [second if second <= 60 else second - 62 if second > 360 else None for second in times]
    counts = [None if each is None else 500_000 * each for each in counter]
    totals = ledger_of(device(times, counter=counts, power=[500] * 421)).totals()
    assert totals.joules == 210_000
    assert totals.counts.resets == 1


def test_where_momentary_power_never_agreed_such_a_reset_widens_the_interval() -> None:
    times = range(341)
    counter = [second if second <= 20 else second - 22 if second > 320 else None for second in times]
    counts = [None if each is None else 500_000 * each for each in counter]
    counts[:21] = [5_000 + 300_000 * second for second in range(21)]
    totals = ledger_of(device(times, counter=counts, power=[500] * 341)).totals()
    assert totals.high_joules is not None
    assert totals.high_joules >= 166_000


def test_a_load_that_falls_after_a_reset_is_doubted_once() -> None:
    counter = [30_000_000 + 500_000 * second for second in range(61)]
    counter += [100_000 * second for second in range(1, 241)]
    totals = ledger_of(device(range(301), counter=counter)).totals()
    assert (totals.counts.resets, totals.counts.doubtful_resets) == (1, 1)
    assert totals.joules == pytest.approx(54_000, abs=101)


@pytest.mark.parametrize("power", [[400.0] * 301, None])
def test_a_counter_that_stood_still_and_moves_on_lost_nothing(power: list[float] | None) -> None:
    counts = [OLD + 400_000 * (100 if 100 <= second < 130 else second) for second in range(301)]
    totals = ledger_of(device(range(301), counter=counts, power=power)).totals()
    assert (totals.joules, totals.counts.rejected) == (120_000, 0)


def test_while_a_counter_stands_still_power_counts() -> None:
    counts = [OLD + 400_000 * min(100, second) for second in range(301)]
    ledger = ledger_of(device(range(301), counter=counts, power=[400.0] * 301))
    assert ledger.totals().joules == 120_000
    assert ledger.counter_checks() == {"GPU-1": 0.0}
    assert any("0.00 times" in note for note in energy_notes(ledger, ledger.totals()))


def test_a_load_that_falls_between_two_minutes_of_momentary_power_is_no_reset() -> None:
    energy = [0, 42_000, 84_000, 126_000, 126_000 + 14_000 + 3_600, 149_000]
    counter = [100_000 + 1_000 * each for each in energy]
    power = [700.0, 700, 700, 700, 90, 90]
    totals = ledger_of(device(range(0, 360, 60), counter=counter, power=power)).totals()
    assert (totals.joules, totals.counts.resets) == (149_000, 0)


def test_what_is_sent_again_after_a_counter_fell_is_of_no_clock_that_was_set_back() -> None:
    readings = device(range(4), counter=[OLD, OLD + 10**5, OLD + 2 * 10**5, 10**5], power=[100] * 4)
    (stream,) = ledger_of(readings, readings).streams.values()
    assert stream.counts.late == 4
    assert [span.overtaken_us for span in stream.spans] == [0]


def test_what_was_not_believed_and_is_sent_again_is_of_no_clock_that_was_set_back() -> None:
    counter = [0, 10**5, 9 * 10**10, 18 * 10**10, 2 * 10**5, 3 * 10**5]
    readings = device(range(6), counter=counter, power=[100] * 6)
    early = device(range(4), counter=counter[:4], power=[100] * 4)
    for ledger in (ledger_of(early, early), ledger_of(readings, readings)):
        (stream,) = ledger.streams.values()
        assert stream.counts.rejected == 2
        assert [span.overtaken_us for span in stream.spans] == [0]
