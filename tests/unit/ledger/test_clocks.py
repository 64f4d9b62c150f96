"""Clocks that are set, and several samplers of one device: no energy is made up, none lost in silence."""

from __future__ import annotations

import pytest

from trimtab_monitor.ledger import EnergyLedger
from trimtab_monitor.ledger.testing import device, ledger_of

OLD = 10**9
HOUR = 3_600


def told(*parts: tuple[int, int, float], watts: int, counted: bool = True) -> EnergyLedger:
    """Readings once a second from one true second to another, by a clock that is so far ahead."""
    ledger = EnergyLedger()
    for start, end, ahead in parts:
        times = range(start, end)
        counter = [OLD + 1_000 * watts * time for time in times] if counted else None
        ledger.add(device([time + ahead for time in times], counter=counter, power=[watts] * len(times)))
    return ledger


@pytest.mark.parametrize("watts", [60, 700])
@pytest.mark.parametrize("back", [5, 30, 300])
def test_a_counter_carries_over_a_clock_that_is_set_back(watts: int, back: int) -> None:
    ledger = told((0, 400, 0), (400, 1_001, -back), watts=watts)
    totals = ledger.totals()
    assert (totals.joules, totals.gap_us, totals.counts.rejected) == (1_000 * watts, 0, 0)


@pytest.mark.parametrize("watts", [60, 700])
def test_an_hour_back_and_on_again_counts_each_moment_once(watts: int) -> None:
    ledger = told((0, 101, 0), (101, 4_001, -HOUR), watts=watts)
    joules = ledger.totals().joules or 0
    assert 4_000 * watts - 110 * watts <= joules <= 4_000 * watts
    assert ledger.totals().counts.late + ledger.totals().gap_seconds >= 4_000 - joules / watts


@pytest.mark.parametrize("watts", [60, 700])
@pytest.mark.parametrize("jump", [HOUR - 1, HOUR, 2 * HOUR])
def test_an_hour_ahead_loses_a_second_at_most(watts: int, jump: int) -> None:
    totals = told((0, 101, 0), (101, 1_001, jump), watts=watts).totals()
    assert 999 * watts <= (totals.joules or 0) <= 1_000 * watts
    assert totals.joules == 1_000 * watts or totals.counts.jumps


def test_a_clock_an_hour_ahead_that_is_set_right_again_loses_nothing_in_silence() -> None:
    totals = told((0, 101, 0), (101, 161, HOUR - 10), (161, 5_001, 0), watts=700).totals()
    assert totals.joules == 5_000 * 700
    assert totals.counts.late > 3_000


def test_power_alone_tells_the_seconds_that_a_clock_was_set_back() -> None:
    totals = told((0, 101, 0), (101, 201, -30), watts=100, counted=False).totals()
    assert (totals.joules, totals.counts.late) == (17_000, 30)


@pytest.mark.parametrize("shift", [0.0, 0.3])
@pytest.mark.parametrize("counted", [True, False])
def test_eight_samplers_of_one_device_are_one(shift: float, counted: bool) -> None:
    ledger = EnergyLedger()
    for second in range(0, 60, 10):
        for rank in range(8):
            times = [second + each + shift * rank / 8 for each in range(11)]
            counter = [OLD + round(100_000 * time) for time in times] if counted else None
            ledger.add(device(times, counter=counter, power=[100] * 11))
    totals = ledger.totals()
    assert totals.joules == pytest.approx(100 * (60 + shift * 7 / 8), rel=1e-9)
    assert totals.gap_us == 0


def test_another_boot_is_another_life() -> None:
    ledger = ledger_of(
        device([0, 1], counter=[OLD, OLD + 100_000]),
        device([100, 101], counter=[50, 100_050], boot_id="boot2"),
    )
    assert (ledger.totals().joules, ledger.totals().counts.resets) == (200, 0)
