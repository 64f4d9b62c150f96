"""Energy of work that was thrown away."""

from __future__ import annotations

import pytest

from trimtab_monitor.ledger import EnergyLedger
from trimtab_monitor.ledger.testing import T0, device, ledger_of, restored

HOUR = 3600


def constant(seconds: int, start: int = 0, watts: float = 100, period: int = 1) -> EnergyLedger:
    times = range(start, start + seconds + 1, period)
    return ledger_of(device(times, power=[watts] * len(times)))


def lost_joules(ledger: EnergyLedger) -> float | None:
    return ledger.totals().lost_joules


def test_a_rolled_back_interval_is_told_apart_and_stays_in_the_total() -> None:
    ledger = constant(60)
    ledger.lose("rollback", T0 + 20, T0 + 35.5, steps=31)
    totals = ledger.totals()
    assert (totals.joules, totals.lost_joules) == (6_000, 1_550)
    assert (totals.lost_steps, totals.lost_seconds) == (31, 15.5)


def test_readings_that_come_after_the_rollback_still_count_to_it() -> None:
    ledger = constant(20)
    ledger.lose("rollback", T0 + 15, T0 + 30, steps=30)
    ledger = restored(ledger)
    ledger.add(device(range(21, 61), power=[100] * 40))
    assert lost_joules(ledger) == 1_500


def test_a_rollback_past_an_earlier_one_counts_their_common_time_once() -> None:
    ledger = constant(60)
    ledger.lose("rollback", T0 + 20, T0 + 30, steps=10)
    ledger.lose("rollback", T0 + 10, T0 + 40, steps=20)
    ledger.lose("rollback", T0 + 25, T0 + 28, steps=0)
    assert lost_joules(ledger) == 3_000
    assert ledger.totals().lost_steps == 30


def test_every_device_counts() -> None:
    ledger = ledger_of(
        device(range(61), power=[100] * 61, uuid="GPU-0"),
        device(range(61), counter=[300_000 * i for i in range(61)], uuid="GPU-1"),
    )
    ledger.lose("rollback", T0 + 10, T0 + 20, steps=10)
    assert lost_joules(ledger) == 4_000


@pytest.mark.parametrize(("ago_hours", "tolerance"), [(0.1, 0.0), (1, 0.02), (30, 0.02)])
def test_an_interval_long_past_is_still_known(ago_hours: float, tolerance: float) -> None:
    ledger = constant(40 * HOUR, period=10)
    end = T0 + (40 - ago_hours) * HOUR
    ledger.lose("rollback", end - 300, end, steps=300)
    assert lost_joules(ledger) == pytest.approx(30_000, rel=tolerance)


def test_losing_everything_is_the_whole() -> None:
    ledger = constant(40 * HOUR, period=10)
    ledger.lose("rollback", T0, T0 + 40 * HOUR, steps=1)
    assert lost_joules(ledger) == ledger.totals().joules


def test_many_rollbacks_stay_bounded() -> None:
    ledger = constant(2_000)
    for i in range(600):
        ledger.lose("rollback", T0 + 3 * i, T0 + 3 * i + 1, steps=1)
    assert len(ledger.parts.lost.stretches) == 256
    assert lost_joules(ledger) == 60_000
    ledger.lose("rollback", T0, T0 + 2_000, steps=1)
    assert (lost_joules(ledger) or 0) <= 200_000


def test_an_interval_without_length_or_of_no_time_loses_steps_only() -> None:
    ledger = constant(10)
    ledger.lose("rollback", T0 + 5, T0 + 5, steps=3)
    ledger.lose("rollback", float("nan"), T0 + 5, steps=3)
    assert (ledger.totals().lost_steps, lost_joules(ledger)) == (6, 0)


def test_without_any_energy_what_is_lost_is_not_known() -> None:
    ledger = EnergyLedger()
    ledger.lose("rollback", T0, T0 + 1, steps=1)
    assert lost_joules(ledger) is None


def test_sums_outgrow_64_bits_and_still_serialise() -> None:
    ledger = constant(10)
    ledger.lose("hang", T0, T0 + 1)
    ledger.parts.lost.energy["hang"].add(10**20)
    assert restored(ledger).parts.lost.of("hang") == 10**20 + 100_000_000
