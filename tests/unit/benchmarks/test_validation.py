"""Settings are chosen without the fold on which they are judged."""

from __future__ import annotations

import numpy as np
import pytest

from detection_bench.curves import Curve, Event
from detection_bench.matching import Outcome, match
from detection_bench.scoring import score
from detection_bench.validation.cross import best, cross_validate, pooled
from detection_bench.validation.folds import by_group, by_source
from detection_bench.validation.grid import MOST_POINTS, points, settings_at
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


def test_the_grid_begins_with_what_is_shipped_and_all_its_points_are_settings() -> None:
    grid = points()

    assert settings_at(grid[0]) == DetectorSettings()
    assert len(grid) <= MOST_POINTS + 1
    assert len({settings_at(point).model_dump_json() for point in grid[1:]}) == len(grid) - 1


def test_a_setting_that_is_gone_is_named() -> None:
    with pytest.raises(ValueError, match=r"'loss_spike.gone': 1.0.*mend AXES"):
        settings_at({"loss_spike.gone": 1.0})
