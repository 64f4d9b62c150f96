"""Settings are chosen without the fold on which they are judged."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest

from detection_bench.curves import Curve, Event
from detection_bench.matching import Outcome, match
from detection_bench.scoring import score
from detection_bench.validation.cross import best, cross_validate, outcomes_at, pooled
from detection_bench.validation.folds import by_group, by_source
from detection_bench.validation.grid import AXES, MOST_POINTS, points, settings_at
from detection_bench.validation.report import ways_scored
from detection_bench.verdict import Verdict
from trimtab_monitor.detectors import DetectorSettings

EVENT = Event("spike", 100, 110)


def curve(source: str, notes: str = "", name: str = "made.csv") -> Curve:
    return Curve(name, range(1000), {"loss": np.ones(1000)}, [EVENT], source, notes)


def outcome(made: Curve, *, finds: bool, false: int = 0) -> Outcome:
    return match(made, Verdict.at([*[100] * finds, *range(300, 300 + 50 * false, 50)]))


def test_a_setting_that_is_good_on_one_fold_only_is_not_chosen_for_it() -> None:
    curves = [curve(source) for source in "abcd"]
    good_on_a = [outcome(each, finds=each.source == "a") for each in curves]
    good_elsewhere = [outcome(each, finds=each.source != "a") for each in curves]

    folds = cross_validate(curves, [good_on_a, good_elsewhere], by_source)

    assert [(fold.name, fold.chosen) for fold in folds] == [(source, 1) for source in "abcd"]
    assert pooled(folds).wanted.found == 3


def test_a_setting_with_too_many_false_alarms_is_not_chosen_while_others_have_fewer() -> None:
    curves = [curve("a"), curve("b")]
    noisy = score([outcome(each, finds=True, false=1) for each in curves])
    silent = score([outcome(curves[0], finds=True), outcome(curves[1], finds=False)])

    assert noisy.f1 == pytest.approx(silent.f1)
    assert best([noisy, silent]) == 1
    assert best([noisy, noisy]) == 0


def test_groups_are_the_noted_one_else_the_task_in_the_name() -> None:
    noted = curve("o/r", "group=family (alike)", "run_wmt.csv")

    assert by_source(noted) == "o/r"
    assert by_group(noted) == "o/r family"
    assert by_group(curve("o/r", name="x_wmt_glu_trial_1.csv")) == "o/r wmt"
    assert by_group(curve("o/r")) == "o/r"


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("librispeech_conformer", "librispeech_deepspeech"),
        ("imagenet_resnet", "imagenet_vit"),
        ("maskrcnn", "ssd"),
    ],
)
def test_models_of_one_data_set_are_one_group(one: str, other: str) -> None:
    assert by_group(curve("o/r", name=f"{one}_1.csv")) == by_group(curve("o/r", name=f"{other}_2.csv"))


def test_folds_in_which_there_is_nothing_to_find_are_counted() -> None:
    quiet = Curve("quiet.csv", range(1000), {"loss": np.ones(1000)}, [], "b")
    outcomes = [outcome(curve("a"), finds=True), match(quiet, Verdict())]

    folds = cross_validate([curve("a"), quiet], [outcomes], by_source)

    assert ways_scored([{}], [outcomes], {"by source": folds})["by source"][1] == (
        "1 settings in 2 folds, 1 without an event"
    )


def made_of(noise: float, rise: float, rows: int) -> Curve:
    """Quiet noise, in which so many rows are higher by this fraction."""
    loss = 2.0 * (1 + noise * np.random.default_rng(3).standard_normal(800))
    loss[500 : 500 + rows] *= 1 + rise
    return Curve("made.csv", range(800), {"loss": loss})


CONSTRUCTED = [
    *(made_of(0.005, rise, rows) for rise in (0.05, 0.07) for rows in (3, 10)),
    *(made_of(0.005, 0.28, rows) for rows in (1, 2, 3)),
    *(made_of(0.02, rise, rows) for rise in (0.07, 0.085, 0.1) for rows in (1, 2, 3, 5, 300)),
]


@pytest.mark.parametrize("axis", AXES)
def test_each_axis_of_the_grid_changes_what_is_told(axis: str) -> None:
    told = [outcomes_at({axis: value}, CONSTRUCTED) for value in AXES[axis]]

    assert all(one != other for one, other in pairwise(told))


def test_the_grid_begins_with_what_is_shipped_and_all_its_points_are_settings() -> None:
    grid = points()

    assert settings_at(grid[0]) == DetectorSettings()
    assert len(grid) <= MOST_POINTS + 1
    assert len({settings_at(point).model_dump_json() for point in grid[1:]}) == len(grid) - 1


def test_a_setting_that_is_gone_is_named() -> None:
    with pytest.raises(ValueError, match=r"'loss_spike.gone': 1.0.*mend AXES"):
        settings_at({"loss_spike.gone": 1.0})
