"""A clock that goes on where it was when the machine's is set."""

from __future__ import annotations

import time
from collections.abc import Callable

from trimtab.steady_clock import SteadyClock


def times_of(*values: float) -> Callable[[], float]:
    given = iter(values)
    return lambda: next(given)


def test_time_goes_on_when_the_machines_clock_is_set() -> None:
    steady = SteadyClock(wall=times_of(5000.0), elapsed=times_of(10.0, 11.0, 12.5))
    assert [steady(), steady()] == [5001.0, 5002.5]


def test_it_is_the_sum_of_what_those_in_a_hurry_add_up() -> None:
    steady = SteadyClock(wall=lambda: 5000.0, elapsed=lambda: 10.0)
    assert steady.offset + steady.elapsed() == steady() == 5000.0


def test_time_is_unix_time() -> None:
    before = time.time()
    assert before - 1 < SteadyClock()() < before + 60
