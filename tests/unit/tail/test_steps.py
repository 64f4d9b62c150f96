"""Attempts and steps of rows, as they come."""

from __future__ import annotations

from trimtab_monitor.replay.readers.row import Row
from trimtab_monitor.tail.steps import STARTED_AGAIN, Placed, Steps
from trimtab_monitor.tail.times import stamped


def places(*steps: int | None, loss: bool = True) -> tuple[list[tuple[int, int] | None], Steps, list[str]]:
    notes: list[str] = []
    placing = Steps("log", notes.append)
    values = {"loss": 2.0} if loss else {"eval_loss": 2.0}
    placed = [placing.place(Row(1, step, values)) for step in steps]
    return [each.place if each else None for each in placed], placing, notes


def test_a_step_back_begins_an_attempt() -> None:
    found, _, notes = places(1, 2, 3, 2, 3, 4)
    assert found == [(0, 1), (0, 2), (0, 3), (1, 2), (1, 3), (1, 4)]
    assert notes == ["log: step 2 after step 3: attempt 1 begins"]


def test_rows_without_a_step_are_counted_by_their_losses() -> None:
    steps = Steps("log", print)
    rows = [
        Row(1, None, {"lr": 0.1}),
        Row(2, None, {"loss": 2.0}),
        Row(3, None, {"loss": 1.5}),
        Row(4, None, {"eval_loss": 2.5}),
        Row(5, None, {"loss": 1.0}),
    ]
    placed = [steps.place(row) for row in rows]
    assert [each.step if each else None for each in placed] == [None, 1, 2, 2, 3]


def test_an_evaluation_of_an_earlier_step_is_no_attempt() -> None:
    steps = Steps("log", print)
    steps.place(Row(1, 20, {"loss": 2.0}))
    late = steps.place(Row(2, 10, {"eval_loss": 2.0}))
    assert late is not None
    assert late.place == (0, 10)
    after = steps.place(Row(3, 21, {"loss": 2.0}))
    assert after is not None
    assert after.place == (0, 21)


def test_of_two_writers_to_one_file_the_foremost_counts() -> None:
    mixed = [step for i in range(100) for step in (1000 + i, 10 + i)]
    found, steps, notes = places(*mixed)
    assert [place[1] for place in found[10:] if place] == list(range(1005, 1100))
    assert steps.attempt == 2
    assert found.count(None) == 98
    assert "several processes wrote to it" in notes[-1]


def test_when_the_foremost_has_ended_the_other_is_an_attempt() -> None:
    mixed = [step for i in range(20) for step in (1000 + i, 10 + i)]
    found, _, _ = places(*mixed, *range(100, 200))
    assert found[-1] == (3, 199)
    assert found.count(None) > STARTED_AGAIN


def test_times_that_a_file_lacks_are_spread_since_it_last_grew() -> None:
    rows = [Placed(0, step, Row(step, step, {}, 5.0 if step == 2 else None)) for step in (1, 2, 3, 4)]
    assert stamped(rows, 10.0, 14.0) == [11.0, 5.0, 13.0, 14.0]
    assert stamped(rows, None, 14.0) == [14.0, 5.0, 14.0, 14.0]
    assert stamped([], 1.0, 2.0) == []
