"""Sensor, wire and ledger against the true energy of every case of the bench, on a virtual clock."""

from __future__ import annotations

from pathlib import Path

import pytest

from energy_bench import virtual
from energy_bench.cases import CASES, Case

ROUNDING = 1e-4
"""Edges of a run are known to within a fraction of a sensor's renewal: no interval is sharper than that."""
SEEN = [case for case in CASES if not case.hidden]
HIDDEN = [case for case in CASES if case.hidden]


def name(case: Case) -> str:
    return case.name


@pytest.mark.parametrize("case", SEEN, ids=name)
def test_the_energy_told_is_the_true_one(case: Case, driver_library: Path, tmp_path: Path) -> None:
    truth_j = case.truth_j(0.0, case.seconds)

    told = virtual.measure(case, driver_library, tmp_path)

    assert abs(told.error(truth_j)) <= case.target
    assert told.holds(truth_j, ROUNDING)


@pytest.mark.parametrize("case", HIDDEN, ids=name)
def test_what_no_reading_shows_is_within_the_stated_interval(
    case: Case, driver_library: Path, tmp_path: Path
) -> None:
    truth_j = case.truth_j(0.0, case.seconds)

    told = virtual.measure(case, driver_library, tmp_path)

    assert told.holds(truth_j, ROUNDING)
    assert told.low_j != told.high_j


def test_the_same_case_is_measured_the_same_twice(driver_library: Path, tmp_path: Path) -> None:
    (tmp_path / "first").mkdir()
    (tmp_path / "second").mkdir()
    case = CASES[2]

    first = virtual.measure(case, driver_library, tmp_path / "first")

    assert virtual.measure(case, driver_library, tmp_path / "second") == first
