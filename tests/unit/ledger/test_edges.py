"""Where a run begins and ends, whenever that is heard of, and where it goes on after an end."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from trimtab_monitor.ledger import EnergyLedger
from trimtab_monitor.ledger.testing import T0, device, joules_by_method, restored

OLD = 10**9

Act = Callable[[EnergyLedger], None]


def opened(time: float, boot: str = "boot1") -> Act:
    return lambda ledger: ledger.open(boot, T0 + time)


def closed(time: float) -> Act:
    return lambda ledger: ledger.close(T0 + time)


def read(*times: float, watts: float = 100, counted: bool = True) -> Act:
    counter = [OLD + round(1000 * watts * time) for time in times] if counted else None
    return lambda ledger: ledger.add(device(times, counter=counter, power=[watts] * len(times)))


def after(*acts: Act) -> EnergyLedger:
    ledger = EnergyLedger()
    for act in acts:
        act(ledger)
        ledger = restored(ledger)
    return ledger


@pytest.mark.parametrize("counted", [True, False])
def test_what_was_read_before_the_run_began_and_after_it_ended_is_not_its_own(counted: bool) -> None:
    readings = read(-0.5, 0.5, 1.5, 2.5, counted=counted)
    for acts in (
        [opened(0), readings, closed(2)],
        [readings, opened(0), closed(2)],
        [opened(0), closed(2), readings],
        [opened(0), read(-0.5, 0.5, counted=counted), closed(2), read(1.5, 2.5, counted=counted)],
    ):
        assert after(*acts).totals().joules == 200
        assert sum(energy_uj for _, energy_uj in after(*acts).by_hour()) == 200 * 10**6


@pytest.mark.parametrize("counted", [True, False])
def test_both_ends_are_held_to_the_nearest_reading(counted: bool) -> None:
    readings = read(0.4, 1.4, 2.4, watts=400, counted=counted)
    for acts in ([opened(0), readings, closed(3)], [readings, closed(3), opened(0)]):
        totals = after(*acts).totals()
        assert (totals.joules, totals.gap_us) == (1_200, 0)
        assert totals.low_uj < 1_200 * 10**6 < totals.high_uj


def test_a_counter_without_power_is_held_at_its_rate() -> None:
    counter = device([1, 2, 3], counter=[OLD, OLD + 200_000, OLD + 300_000])
    ledger = after(opened(0.5), lambda each: each.add(counter), closed(3.5))
    assert joules_by_method(ledger) == {"counter": 100 + 200 + 100 + 50}


def test_the_power_at_the_end_tells_what_lies_beyond_it() -> None:
    counter = device([0, 1], counter=[OLD, OLD + 90_000], power=[100.0, 40.0])
    ledger = after(lambda each: each.add(counter), closed(0.5))
    assert ledger.totals().joules == 90 - 20


def test_of_several_processes_that_end_the_last_one_counts() -> None:
    for ends in ([closed(2), closed(3)], [closed(3), closed(2)]):
        ledger = after(opened(0), read(0, 1, 2), *ends, read(2.2, 3.2))
        assert ledger.totals().joules == 300
    early = after(opened(0), read(0, 1), closed(1), read(2), closed(2.5), read(3))
    assert early.totals().joules == 250


def test_a_run_whose_readings_go_on_has_not_ended() -> None:
    ledger = after(opened(0), read(0, 1, 2), closed(2), read(*range(3, 61)))
    assert ledger.totals().joules == 6_000


@pytest.mark.parametrize("restart", [2.0, 4.0, 30.0])
def test_a_restart_in_mid_run_is_as_no_restart(restart: float) -> None:
    """What the device drew while the job was down is the cost of the restart."""
    before, later = read(0, 1, 2, 2.2), read(restart + 0.1, restart + 1, restart + 2)
    whole = after(opened(0), before, later, closed(restart + 1.5)).totals()
    assert whole.joules == pytest.approx(100 * (restart + 1.5))
    for acts in (
        [opened(0), before, closed(2), opened(restart), later, closed(restart + 1.5)],
        [before, opened(0), closed(2), later, opened(restart), closed(restart + 1.5)],
    ):
        totals = after(*acts).totals()
        assert (totals.energy_uj, totals.gap_us) == (whole.energy_uj, whole.gap_us)


def test_without_a_counter_the_time_between_two_attempts_is_a_gap() -> None:
    before, later = read(0, 1, 2, counted=False), read(30, 31, counted=False)
    totals = after(opened(0), before, closed(2), opened(30), later, closed(31)).totals()
    assert (totals.joules, totals.gap_seconds) == (300, 28)


def test_an_end_heard_of_twice_and_a_start_of_another_host_change_nothing() -> None:
    ledger = after(opened(0), read(0, 1, 2.5), closed(2), closed(2), opened(2.2, "boot2"), closed(2))
    assert ledger.totals().joules == 200


def test_a_device_that_was_lost_is_a_gap_to_the_end() -> None:
    lost = device([3, 4, 5], counter=[None] * 3, power=[None] * 3)
    totals = after(opened(0), read(0, 1, 2), lambda each: each.add(lost), closed(60)).totals()
    assert (totals.joules, totals.gap_seconds) == (200, 58)
    assert totals.estimated_joules == 5_800


@pytest.mark.parametrize("counted", [True, False])
@pytest.mark.parametrize("apart", [30, 3_600, 5_000, -3_600])
def test_a_start_and_an_end_by_another_clock_throw_nothing_away(apart: float, counted: bool) -> None:
    whole = after(opened(0), read(*range(61), counted=counted), closed(60)).totals()
    for start, end in ((apart, 60 + apart), (apart, 60)):
        acts = opened(start), read(*range(61), counted=counted), closed(end)
        totals = after(*acts).totals()
        assert totals.energy_uj == whole.energy_uj
        assert totals.counts.clocks == (apart > 0)


@pytest.mark.parametrize("counted", [True, False])
@pytest.mark.parametrize("back", [3_600, 5_000])
def test_a_clock_set_back_before_the_start_of_the_run_throws_nothing_away(back: int, counted: bool) -> None:
    """A second is lost where the clock was set."""
    before, later = read(*range(31), counted=counted), later_by_another_clock(-back, counted)
    for acts in ([opened(0), before, later], [before, later, opened(0)]):
        for closing in (61, 61 - back):
            totals = after(*acts, closed(closing)).totals()
            assert totals.joules == pytest.approx(6_000, abs=101)


def later_by_another_clock(shift: int, counted: bool) -> Act:
    counter = [OLD + 100_000 * second for second in range(31, 62)] if counted else None
    times = [second + shift for second in range(31, 62)]
    return lambda ledger: ledger.add(device(times, counter=counter, power=[100] * 31))


def test_a_device_that_is_read_once_a_minute_is_cut_where_the_run_ends() -> None:
    minutes = range(0, 601, 60)
    assert after(opened(24), read(*minutes), closed(576)).totals().joules == 55_200
    assert after(opened(24), read(*minutes[:-1]), closed(576), read(600)).totals().joules == 55_200
    assert after(opened(24), read(*minutes), closed(576), read(660)).totals().joules == 63_600
