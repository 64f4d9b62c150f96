"""The curves that are committed, and how they are labelled."""

from __future__ import annotations

from math import nan
from pathlib import Path

import pytest

from curve_making.injections import RECIPES, SLOW, Injection
from curve_making.labels import label
from curve_making.training import Measured
from detection_bench.curves import read_folder

FOLDER = Path(__file__).parents[3] / "benchmarks" / "curves"


def run(raised: dict[int, float], steps: int = 100) -> list[Measured]:
    return [Measured(step, 2.0 * raised.get(step, 1.0), 1.0, 1e-3) for step in range(1, steps + 1)]


TWIN = run({})


def test_every_recipe_is_a_committed_curve_and_the_folder_stays_small() -> None:
    curves = read_folder(FOLDER)

    assert {curve.name for curve in curves} == {f"{recipe.name}.csv" for recipe in RECIPES}
    assert sum(file.stat().st_size for file in FOLDER.iterdir()) < 400_000
    assert sum(event.must_be_found for curve in curves for event in curve.events) >= 8


def test_every_injected_run_has_a_twin_without() -> None:
    twins = {recipe.base for recipe in RECIPES if not recipe.injections}

    assert SLOW in twins
    assert {recipe.base for recipe in RECIPES} == twins


def test_a_spike_ends_where_the_loss_is_back_at_its_twins() -> None:
    made = run(dict.fromkeys(range(40, 50), 1.5))

    found = label(Injection("corrupt_data", 40, 10), made, TWIN, "noise")

    assert found is not None
    assert (found.kind, found.start, found.peak, found.severity) == ("spike", 40, 40, "major")
    assert found.end is not None
    assert 45 <= found.end < 50


def test_what_lasts_is_a_level_and_a_small_rise_is_minor() -> None:
    made = run(dict.fromkeys(range(40, 101), 1.06))

    found = label(Injection("corrupt_data", 40), made, TWIN, "noise")

    assert found is not None
    assert (found.kind, found.end, found.severity) == ("level_shift", None, "minor")


def test_a_drift_begins_where_it_can_be_seen() -> None:
    made = run({step: 1.0 + 0.005 * (step - 30) for step in range(31, 101)})

    found = label(Injection("growing_noise", 31), made, TWIN, "noise")

    assert found is not None
    assert (found.kind, found.start, found.end) == ("divergence", 32, None)


@pytest.mark.parametrize("what", ["batch_size", "rate_restart"])
def test_what_is_done_on_purpose_is_no_event(what: str) -> None:
    assert label(Injection(what, 40), TWIN, TWIN, "benign") is None  # type: ignore[arg-type]


def test_a_nan_is_major_from_its_step_on() -> None:
    made = run(dict.fromkeys(range(41, 51), nan), steps=50)

    found = label(Injection("nan", 40), made, TWIN, "one NaN")

    assert found is not None
    assert (found.kind, found.start, found.end, found.severity) == ("nan", 40, None, "major")
