"""The matching rule, case by case."""

from __future__ import annotations

import numpy as np
import pytest

from detection_bench.curves import Curve, Event
from detection_bench.matching import Outcome, match
from detection_bench.verdict import Alarm, Verdict


def curve(*events: Event, rows: int = 300, notes: str = "") -> Curve:
    return Curve("made.csv", range(rows), {"loss": np.ones(rows)}, events, notes=notes)


def outcome(made: Curve, *rows: int, marks: tuple[int, ...] = ()) -> Outcome:
    return match(made, Verdict([Alarm(row, row) for row in rows], marks))


@pytest.mark.parametrize(("row", "delay"), [(98, 0), (99, 0), (100, 0), (103, 3), (115, 15)])
def test_an_alarm_from_two_rows_before_to_five_after_finds_an_event(row: int, delay: int) -> None:
    found = outcome(curve(Event("spike", 100, 110)), row)

    assert found.found[0].delay == delay
    assert not found.false_alarms


@pytest.mark.parametrize("row", [97, 116])
def test_an_alarm_a_row_further_off_is_false_and_finds_nothing(row: int) -> None:
    found = outcome(curve(Event("spike", 100, 110)), row)

    assert found.found[0].alarm is None
    assert found.found[0].delay is None
    assert [alarm.row for alarm in found.false_alarms] == [row]


def test_the_first_alarm_in_the_window_dates_the_detection() -> None:
    found = outcome(curve(Event("spike", 100, 110)), 108, 102)

    assert found.found[0].delay == 2


def test_one_alarm_may_find_two_events_that_overlap() -> None:
    found = outcome(curve(Event("spike", 100, 110), Event("level_shift", 105, 300)), 107)

    assert [each.delay for each in found.found] == [7, 2]


@pytest.mark.parametrize(
    "event", [Event("spike", 100, 100, "minor"), Event("spike", 100, 100, certain=False)]
)
def test_alarms_in_events_that_need_not_be_found_are_neither_hits_nor_false(event: Event) -> None:
    found = outcome(curve(event), 100)

    assert not event.must_be_found
    assert not found.false_alarms


def test_false_alarms_within_twenty_rows_of_the_one_before_count_once() -> None:
    found = outcome(curve(), 10, 30, 50, 71, 200)

    assert [alarm.row for alarm in found.false_alarms] == [10, 71, 200]


def test_a_mark_is_no_alarm() -> None:
    found = outcome(curve(Event("spike", 100, 110)), marks=(101, 200))

    assert found.found[0].alarm is None
    assert found.found[0].marked
    assert not found.false_alarms


def test_rows_of_a_curve_picked_for_looking_abnormal_count_for_no_rate() -> None:
    assert outcome(curve(), 10).clean_rows == 300
    assert outcome(curve(notes="sel=targeted; steps 1..300"), 10).clean_rows == 0
