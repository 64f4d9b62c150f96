"""What steps took is kept in bounded memory, with pauses and what was done again apart."""

from __future__ import annotations

import msgspec
import pytest

from trimtab_monitor.folding.effort import CAPACITY, Effort


def stepped(steps: int, seconds: float = 1.0, effort: Effort | None = None) -> Effort:
    effort = effort or Effort()
    first, time = effort.at_step or 0, effort.at_time or 100.0
    for step in range(first + 1, first + steps + 1):
        time += seconds
        effort.step(step, time)
    return effort


def test_a_million_steps_take_no_more_than_a_few_windows_and_none_is_lost() -> None:
    effort = stepped(20_000, 0.05)
    assert len(effort.windows) <= CAPACITY
    assert sum(each.steps for each in effort.windows) == effort.lived == 19_999
    assert effort.windows[-1].end - effort.windows[-1].start <= 1.0
    assert effort.windows[0].end - effort.windows[0].start > 8.0
    assert all(a.end == b.start for a, b in zip(effort.windows, effort.windows[1:], strict=False))


def test_a_step_that_takes_many_times_the_usual_holds_a_pause() -> None:
    effort = stepped(50)
    assert effort.at_time is not None
    effort.step(51, effort.at_time + 21.0)
    stepped(49, effort=effort)
    assert effort.pauses.count == 1
    assert effort.pauses.seconds == pytest.approx(20.0)
    assert sum(each.paused_s for each in effort.windows) == pytest.approx(20.0)


def test_what_is_done_again_counts_as_lived_and_the_time_between_as_a_stop() -> None:
    effort = stepped(50)
    effort.rewind(30)
    assert effort.at_time is not None
    effort.step(31, effort.at_time + 60.0)
    stepped(19, effort=effort)
    assert (effort.redone, effort.stopped, effort.at_step) == (20, 1, 50)
    assert [end - start for start, end in effort.stops] == [60.0]
    assert effort.lived == 49 + 19


def test_clocks_that_go_back_and_steps_that_repeat_are_passed_over() -> None:
    effort = stepped(20)
    before = effort.lived
    effort.step(20, 1e9)
    effort.step(21, 5.0)
    assert effort.lived == before
    effort.step(22, 6.0)
    assert effort.lived == before + 1


def test_times_and_steps_that_cannot_be_are_kept_small_or_left_out() -> None:
    effort = stepped(20)
    for time in (-1.0, 1e300, float("inf"), float("nan")):
        effort.step(30, time)
    assert effort.at_step == 20
    effort.step(2**63 - 1, 1e9)
    effort.rewind(-(2**63))
    effort.step(2**63 - 1, 2e9)
    effort.step(-5, 3e9)
    assert msgspec.msgpack.decode(msgspec.msgpack.encode(effort), type=Effort) == effort


def test_it_goes_on_where_it_was_written_down() -> None:
    effort = stepped(300, 0.3)
    again = msgspec.msgpack.decode(msgspec.msgpack.encode(effort), type=Effort)
    assert stepped(300, 0.3, again) == stepped(300, 0.3, effort)
