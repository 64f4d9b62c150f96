"""A device that others use too, of which the sensor tells this job's part."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trimtab_monitor.ledger import EnergyLedger
from trimtab_monitor.ledger.shares import IdlePower, Shares, split
from trimtab_monitor.ledger.testing import device, ledger_of, restored
from trimtab_monitor.ledger.units import SECOND_US, Piece


def piece(watts: int, seconds: int = 1) -> Piece:
    uj = watts * seconds * SECOND_US
    return Piece(0, seconds * SECOND_US, uj, "counter", uj, uj)


def gpu(watts: Sequence[float], **given_: Any) -> EnergyLedger:
    """A GPU that draws this, a second each, told by its counter."""
    counter = [round(1000 * sum(watts[:n])) for n in range(len(watts) + 1)]
    return ledger_of(device(range(len(counter)), counter=counter, **given_))


def own_and_others(ledger: EnergyLedger) -> tuple[float | None, float]:
    (row,) = ledger.rows()
    return row.joules, row.others_joules


@pytest.mark.parametrize(
    ("shares", "own", "left"),
    [
        (Shares(), 0, 300),
        (Shares(used=0.5, held=0.25), 125, 0),
        (Shares(held=0.25), 75, 0),
        (Shares(used=0.5), 100, 100),
        (Shares(used=0.0, held=1.0), 100, 0),
    ],
)
def test_idle_power_goes_to_who_holds_it_and_the_rest_to_who_uses_it(
    shares: Shares, own: int, left: int
) -> None:
    """300 W, of which 100 W at rest."""
    own_uj, given_uj = split(piece(300), shares, idle_w=100)
    assert (own_uj, 300 * SECOND_US - own_uj - given_uj) == (own * SECOND_US, left * SECOND_US)


@given(st.integers(-(10**12), 10**12), st.floats(0, 1), st.floats(0, 1), st.floats(0, 1000))
def test_parts_add_up_and_a_correction_takes_back_what_was_given(
    uj: int, used: float, held: float, idle_w: float
) -> None:
    shares = Shares(used, held)
    there = split(Piece(0, SECOND_US, uj, "counter", uj, uj), shares, idle_w)
    back = split(Piece(0, SECOND_US, -uj, "counter", -uj, -uj), shares, idle_w)
    assert sum(there) == uj
    assert there == (-back[0], -back[1])


class TestIdlePower:
    def test_is_what_it_draws_for_a_hundredth_of_the_time_not_its_least_ever(self) -> None:
        idle = IdlePower(limit_w=700)
        for watts, seconds in ((5, 1), (70, 20), (600, 979)):
            idle.see(piece(watts, seconds))
        assert idle.watts() == pytest.approx(70, rel=0.03)

    def test_of_a_device_under_load_from_the_start_is_a_quarter_of_its_limit_at_most(self) -> None:
        idle = IdlePower(limit_w=400)
        idle.see(piece(390, 60))
        assert idle.watts() == 100

    def test_without_a_limit_it_is_a_quarter_of_the_most_it_drew(self) -> None:
        idle = IdlePower()
        idle.see(piece(390, 60))
        assert idle.watts() == pytest.approx(390 / 4, rel=0.03)

    def test_of_a_device_never_seen_is_nothing(self) -> None:
        assert IdlePower().watts() == 0


def test_a_mig_slice_has_its_part_and_tells_the_others() -> None:
    ledger = gpu([700] * 60, held_share=[3 / 7] * 61)
    assert own_and_others(ledger) == (18_000, 24_000)
    totals = ledger.totals()
    assert (totals.joules, totals.others_joules) == (18_000, 24_000)
    assert sum(uj for _, uj in ledger.by_hour()) == 18_000 * SECOND_US
    assert ledger.gpu_seconds() == pytest.approx(60 * 3 / 7, abs=0.001)


def test_processes_on_one_gpu_share_what_they_use() -> None:
    shares = {"used_share": [0.25] * 21, "held_share": [0.5] * 21, "power_limit_w": 400.0}
    ledger = gpu([100] * 10 + [300] * 10, **shares)
    own, others = own_and_others(ledger)
    assert own == pytest.approx(500 + 500 + 500, rel=0.03)
    assert (own or 0) + others == 4_000


def test_a_device_of_this_job_alone_is_all_its_own() -> None:
    ledger = gpu([300] * 10)
    (row,) = ledger.rows()
    assert (row.joules, row.others_joules, row.shared) == (3_000, 0, False)


def test_a_share_that_comes_and_goes_counts_reading_by_reading() -> None:
    ledger = gpu([300] * 10, held_share=[float("nan")] + [0.5] * 4 + [1.0] * 6)
    assert own_and_others(restored(ledger)) == (2_400, 600)


def test_lost_work_is_of_the_own_part() -> None:
    ledger = gpu([300] * 10, held_share=[0.5] * 11)
    ledger.lose("hang", 1_700_000_002, 1_700_000_006)
    assert ledger.totals().lost_joules == 600
