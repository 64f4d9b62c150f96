"""The true energy of the bench's traces, which all tools are held against."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from energy_bench.cases import CASES, CHECKPOINTS, LOCKED
from energy_bench.meter import Told
from energy_bench.powercap import Zone
from energy_bench.trace import Ramp, Trace, steps, wave


def test_reference_energies() -> None:
    assert steps((60, 700)).energy_j(0, 60) == 42_000
    assert steps((290, 60), (10, 700)).energy_j(0, 300) == 24_400
    assert steps((60, 100), (60, 700), (60, 100)).energy_j(0, 180) == 54_000
    assert wave(40, 1.0, 0.8, 650, 250).energy_j(0, 40) == pytest.approx(40 * 570)


def test_a_ramp_and_what_lies_outside() -> None:
    trace = Trace((Ramp(10.0, 20.0, 100.0, 300.0),), idle_w=50.0)

    assert trace.energy_j(10, 20) == 2000
    assert trace.energy_j(0, 12) == 500 + 240
    assert trace.energy_j(15, 30) == 1250 + 500
    assert trace.energy_j(12, 0) == -(500 + 240)
    assert [trace.power_w(at) for at in (9.0, 10.0, 15.0, 20.0)] == [50, 100, 200, 50]


@given(cuts=st.lists(st.floats(-5, 60), min_size=3, max_size=3).map(sorted))
def test_parts_add_up(cuts: list[float]) -> None:
    first, middle, last = cuts

    whole = CHECKPOINTS.energy_j(first, last)

    assert CHECKPOINTS.energy_j(first, middle) + CHECKPOINTS.energy_j(middle, last) == pytest.approx(whole)


@given(at=st.floats(0, 29.9))
def test_energy_is_the_integral_of_power(at: float) -> None:
    fine = [LOCKED.power_w(at + (i + 0.5) * 1e-4) for i in range(1000)]

    assert LOCKED.energy_j(at, at + 0.1) == pytest.approx(sum(fine) * 1e-4, rel=1e-2)


def test_a_counter_wraps() -> None:
    zone = Zone("0", "package-0", steps((100, 250)), range_uj=1_000_000_000, initial_uj=7)

    assert [zone.count(at) for at in (0.0, 3.0, 4.0, 100.0)] == [7, 750_000_007, 7, 7]


def test_every_case_has_a_truth() -> None:
    assert len({case.name for case in CASES}) == len(CASES)
    for case in CASES:
        assert case.truth_j(0.0, case.seconds) > 0


def test_what_is_told_against_the_truth() -> None:
    told = Told(990.0, low_j=980.0, high_j=1000.0)

    assert told.error(1000.0) == pytest.approx(-0.01)
    assert told.holds(1000.0, 0.0)
    assert not told.holds(1010.0, 0.001)
    assert told.holds(1010.0, 0.01)
    assert Told(1.0).holds(1.0, 0.0) is None
