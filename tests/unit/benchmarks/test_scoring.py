"""Figures of outcomes that can be added up by hand."""

from __future__ import annotations

from math import isnan, nan

import numpy as np
import pytest

from detection_bench.curves import Curve, Event
from detection_bench.matching import Outcome, match
from detection_bench.scoring import labelled_rows, roc_auc, score
from detection_bench.verdict import Alarm, Verdict


def curve(*events: Event, rows: int = 1000, notes: str = "") -> Curve:
    return Curve("made.csv", range(rows), {"loss": np.ones(rows)}, events, "a/b", notes)


def outcome(made: Curve, *alarms: Alarm) -> Outcome:
    return match(made, Verdict(alarms))


def test_precision_recall_and_f1() -> None:
    made = curve(Event("spike", 100, 110), Event("spike", 300, 310), Event("nan", 900, 1000))

    figures = score([outcome(made, Alarm(100, 100), Alarm(904, 904), Alarm(500, 500, kind="divergence"))])

    assert figures.precision == pytest.approx(2 / 3)
    assert figures.recall == pytest.approx(2 / 3)
    assert figures.f1 == pytest.approx(2 / 3)
    assert figures.wanted.delay_median == 2.0
    assert figures.false_by_kind == {"divergence": 1}
    assert figures.by_source == {"a/b": (2, 3, 1)}


def test_the_rate_of_false_alarms_leaves_targeted_curves_out_and_precision_does_not() -> None:
    usual, targeted = curve(Event("spike", 100, 110)), curve(notes="sel=targeted")

    figures = score([outcome(usual, Alarm(100, 100), Alarm(400, 400)), outcome(targeted, Alarm(7, 7))])

    assert figures.false_alarms_per_1000 == pytest.approx(1.0)
    assert figures.false_alarms == 2
    assert figures.precision == pytest.approx(1 / 3)


def test_it_also_says_when_a_person_would_have_been_told() -> None:
    figures = score([outcome(curve(Event("spike", 100, 110)), Alarm(100, 103))])

    assert (figures.wanted.delay_median, figures.told_delay_median) == (0.0, 3.0)


def test_a_share_of_each_kind_and_severity() -> None:
    made = curve(
        Event("spike", 100, 110), Event("spike", 300, 310, "minor"), Event("nan", 500, 510, certain=False)
    )

    figures = score([outcome(made, Alarm(100, 100))])

    assert {name: (share.found, share.events) for name, share in figures.by_kind.items()} == {
        "nan major uncertain": (0, 1),
        "spike major": (1, 1),
        "spike minor": (0, 1),
    }


def test_of_nothing_the_figures_are_undefined_or_zero() -> None:
    figures = score([outcome(curve())])

    assert figures.f1 == figures.precision == figures.false_alarms_per_1000 == 0.0
    assert isnan(figures.recall)
    assert isnan(figures.wanted.delay_median)


def test_rows_near_an_event_and_in_events_that_need_not_be_found_tell_nothing() -> None:
    rows = labelled_rows(curve(Event("spike", 4, 5), Event("spike", 14, 14, "minor"), rows=24))

    expected = [0, 0, nan, nan, 1, 1, *[nan] * 5, 0, *[nan] * 8, 0, 0, 0, 0]
    np.testing.assert_array_equal(rows, expected)


def test_of_a_long_event_only_the_onset_may_be_asked_for() -> None:
    rows = labelled_rows(curve(Event("level_shift", 2, 20), rows=20), at_most=3)

    np.testing.assert_array_equal(rows, [*[nan] * 2, 1, 1, 1, *[nan] * 15])


def test_roc_auc_of_scores_that_rank_right_and_wrong() -> None:
    made = curve(Event("spike", 10, 12), rows=30)
    right = np.zeros(30)
    right[10:13] = np.inf

    assert roc_auc([made], [right]) == 1.0
    assert roc_auc([made], [-right]) == 0.0
    assert isnan(roc_auc([curve()], [np.zeros(1000)]))
