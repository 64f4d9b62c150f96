"""When an energy counter was renewed, from counters that stand still between renewals."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import pytest

from trimtab.sensors.nvidia.edges import LONGEST_WAIT_S, Edges


@dataclass
class Machine:
    """A clock that goes on as time is spent, and a counter of 1 mJ a millisecond renewed every `period_s`."""

    now: float = 1000.013
    period_s: float = 0.1
    call_s: float = 0.0
    told_until: float = float("inf")
    calls: int = 0
    stands_at: int | None = None

    def clock(self) -> float:
        return self.now

    def pause(self, seconds: float) -> None:
        self.now += seconds

    def count(self) -> int | None:
        self.now += self.call_s
        self.calls += 1
        if self.stands_at is not None:
            return self.stands_at
        return round(1000 * self.renewed_at(self.now)) if self.now < self.told_until else None

    def renewed_at(self, now: float) -> float:
        return now // self.period_s * self.period_s

    def edges(self, count: Callable[[], int | None] | None = None) -> Edges[int]:
        return Edges(count or self.count, self.clock, self.pause)


def test_the_first_readings_are_two_renewals_at_their_moments() -> None:
    machine = Machine()
    edges = machine.edges()
    first, second = edges.first()
    assert first.time == pytest.approx(1000.1, abs=0.003)
    assert second.time == pytest.approx(1000.2, abs=0.003)
    assert (first.value, second.value) == (1_000_100, 1_000_200)
    assert edges.period_s == pytest.approx(0.1, abs=0.006)
    assert machine.now < 1000.013 + LONGEST_WAIT_S


def test_the_last_readings_are_the_renewals_before_and_after() -> None:
    machine = Machine()
    edges = machine.edges()
    edges.first()
    machine.now = 1059.956
    before, after = edges.last()
    assert (before.value, after.value) == (1_059_900, 1_060_000)
    assert before.time == pytest.approx(1059.9, abs=0.006)
    assert after.time == pytest.approx(1060.0, abs=0.003)


def test_where_the_period_is_not_known_the_reading_before_is_of_when_it_was_read() -> None:
    machine = Machine(now=1059.956)
    before, after = machine.edges().last()
    assert (before.time, before.value) == (1059.956, 1_059_900)
    assert after.value == 1_060_000


def test_a_counter_that_stands_still_is_read_once_and_not_waited_for() -> None:
    machine = Machine(period_s=50.0)
    edges = machine.edges()
    began = machine.now
    (read,) = edges.first()
    assert (read.time, read.value) == (began, 1_000_000)
    (read,) = edges.last()
    assert read.value == 1_000_000
    assert machine.now - began < 2 * LONGEST_WAIT_S + 0.02


def test_a_clock_that_stands_still_ends_the_wait_too() -> None:
    machine = Machine()
    edges = Edges(machine.count, machine.clock, lambda _: None)
    assert len(edges.first()) == 1


def test_calls_that_take_long_are_few() -> None:
    machine = Machine(call_s=0.1)
    edges = machine.edges()
    began = machine.now
    read = edges.first()
    assert machine.now - began < LONGEST_WAIT_S + 2 * machine.call_s
    assert all(abs(count.time - machine.renewed_at(count.time)) < machine.call_s for count in read)
    assert edges.period_s is None, "moments known to +- 50 ms tell no period of 100 ms"


def test_a_counter_that_is_always_new_is_aligned_at_once() -> None:
    machine = Machine(period_s=0.001)
    edges = machine.edges()
    began = machine.now
    assert len(edges.first()) == 2
    assert len(edges.last()) == 2
    assert machine.now - began < 0.03


def test_a_counter_that_goes_away_leaves_what_was_read() -> None:
    machine = Machine(told_until=1000.05)
    assert [read.value for read in machine.edges().first()] == [1_000_000]
    assert machine.edges().first() == []


def test_what_is_renewed_regularly_is_asked_shortly_before_the_next_time() -> None:
    machine = Machine()
    edges = Edges(machine.count, machine.clock, machine.pause, usual_s=0.1)
    asked = []
    for second in range(4):
        machine.now = 1000.013 + second
        machine.calls = 0
        assert edges.last()[-1].time == pytest.approx(1000.1 + second, abs=0.003)
        asked.append(machine.calls)
    assert asked[0] > 15
    assert max(asked[1:]) <= 4


def test_of_what_is_renewed_regularly_a_slow_driver_is_asked_once() -> None:
    machine = Machine(call_s=0.1)
    edges = Edges(machine.count, machine.clock, machine.pause, usual_s=0.1)
    (read,) = edges.last()
    assert read.time == pytest.approx(1000.063)
    assert machine.calls == 1


def test_what_is_constant_for_a_while_is_asked_seldom_too() -> None:
    machine = Machine()
    edges = Edges(machine.count, machine.clock, machine.pause, usual_s=0.1)
    machine.stands_at = edges.last()[-1].value
    asked = []
    for second in range(1, 5):
        machine.now = 1000.013 + second
        machine.calls = 0
        edges.last()
        asked.append(machine.calls)
    assert max(asked) <= 6


def test_a_renewal_that_comes_while_nobody_asks_is_looked_for_anew() -> None:
    machine = Machine()
    edges = Edges(machine.count, machine.clock, machine.pause, usual_s=0.1)
    edges.last()
    machine.now, machine.period_s = 1001.013, 0.07
    assert edges.last()[-1].error_s > 0.02, "it came at another time than usual"
    machine.now, machine.period_s = 1002.013, 0.1
    assert edges.last()[-1].time == pytest.approx(1002.1, abs=0.003)


def test_the_reading_before_is_never_later_than_it_was_read() -> None:
    machine = Machine()
    edges = machine.edges()
    edges.first()
    machine.now, machine.period_s = 1059.956, 1.0
    before, after = edges.last()
    assert before.time <= 1059.956 < after.time


def averaged(machine: Machine) -> Edges[int]:
    return Edges(machine.count, machine.clock, machine.pause, usual_s=0.1)


@pytest.mark.parametrize("at", [0.002, 0.013, 0.055, 0.098])
def test_once_a_renewal_was_seen_the_moments_of_others_are_known_and_asked_for_once(at: float) -> None:
    machine = Machine()
    edges = averaged(machine)
    edges.renewed()
    for second in range(1, 9):
        machine.now, machine.calls = 1000.0 + at + second, 0
        read = edges.now()
        assert read is not None
        assert machine.calls == 1
        assert read.time == pytest.approx(machine.renewed_at(machine.now), abs=0.006)
        assert read.value == round(1000 * machine.renewed_at(machine.now))
        assert machine.now < 1000.0 + at + second + 0.05


def test_the_reading_before_a_moment_bears_the_renewal_before_it() -> None:
    machine = Machine(now=1000.053)
    read = averaged(machine).before()
    assert read is not None
    assert read.time == pytest.approx(1000.0, abs=0.006)
    assert read.value == 1_000_000


@pytest.mark.parametrize("usual_s", [None, 0.1])
def test_of_a_driver_that_is_slower_than_renewals_a_single_answer_is_taken(usual_s: float | None) -> None:
    machine = Machine(now=1000.053, call_s=0.1)
    edges = Edges(machine.count, machine.clock, machine.pause, usual_s=usual_s)
    for ask in (edges.first, edges.last):
        assert [each.time for each in ask()] == [pytest.approx(machine.now - 0.05)]
        assert edges.took_s == pytest.approx(0.1)
    assert machine.calls == 2


def test_of_something_new_a_renewal_is_watched_for_where_none_was_seen_of_late() -> None:
    machine = Machine()
    edges = averaged(machine)
    for begun in (1000.013, 1020.013):
        machine.now, machine.calls = begun, 0
        read = edges.now()
        assert read is not None
        assert machine.calls > 1
        assert read.time == pytest.approx(begun - 0.013, abs=0.006)


def test_what_is_the_same_is_not_watched_for_renewals_that_cannot_be_seen() -> None:
    machine = Machine(stands_at=7)
    edges = averaged(machine)
    edges.renewed()
    machine.calls = 0
    assert [edges.now() for _ in range(3)] == [(machine.now, 7, 0.0)] * 3
    assert machine.calls == 3


def test_of_a_slow_driver_a_reading_bears_the_moment_at_which_it_was_asked() -> None:
    machine = Machine(call_s=0.1)
    edges = averaged(machine)
    read = edges.now()
    assert read is not None
    assert machine.calls == 1
    assert read.error_s == pytest.approx(0.05)
    machine.told_until = 0.0
    assert edges.now() is None
    assert edges.renewed() is None
