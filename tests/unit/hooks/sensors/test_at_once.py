"""Several boards are asked at once."""

from __future__ import annotations

import threading

import pytest

from trimtab.sensors.nvidia.at_once import at_once


def test_answers_come_in_the_order_of_the_questions() -> None:
    assert at_once(str, [3, 1, 2]) == ["3", "1", "2"]


def test_a_single_one_is_asked_here() -> None:
    assert at_once(lambda _: threading.current_thread(), [0]) == [threading.current_thread()]


def test_nobody_is_asked_nothing() -> None:
    assert at_once(str, []) == []


def test_each_is_asked_while_the_others_are() -> None:
    together = threading.Barrier(3, timeout=20)
    assert sorted(at_once(lambda _: together.wait(), range(3))) == [0, 1, 2]


def test_what_one_raises_is_raised() -> None:
    with pytest.raises(ZeroDivisionError):
        at_once(lambda number: 1 / number, [1, 0, 2])
