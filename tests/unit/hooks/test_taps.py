"""Methods are listened to without being changed, and run untouched again afterwards."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from trimtab.integrations.taps import Taps


class Loop:
    def step(self, value: int, scale: int = 1) -> int:
        return value * scale

    def evaluate(self, depth: int) -> int:
        return depth if depth == 0 else self.evaluate(depth - 1)

    def fail(self) -> None:
        raise RuntimeError("on purpose")


class Sub(Loop):
    def step(self, value: int, scale: int = 1) -> int:
        return super().step(value, scale) + 1


def test_results_are_seen_and_returned() -> None:
    seen: list[int] = []
    loop, taps = Sub(), Taps()
    taps.results(loop, "step", seen.append)
    assert loop.step(2, scale=3) == 7
    assert seen == [7]
    assert Sub().step(2) == 3, "other objects are left alone"
    assert seen == [7]


def test_a_call_within_a_call_is_not_entered_again() -> None:
    entered: list[str] = []

    @contextmanager
    def around(*_: int) -> Iterator[None]:
        entered.append("in")
        yield
        entered.append("out")

    loop, taps = Loop(), Taps()
    taps.calls(loop, "evaluate", around)
    assert loop.evaluate(3) == 0
    assert loop.evaluate(1) == 0
    assert entered == ["in", "out", "in", "out"]


def test_an_error_goes_on_its_way() -> None:
    ended: list[str] = []

    @contextmanager
    def around(*_: int) -> Iterator[None]:
        try:
            yield
        finally:
            ended.append("out")

    loop, taps = Loop(), Taps()
    taps.calls(loop, "fail", around)
    for _ in range(2):
        with pytest.raises(RuntimeError, match="on purpose"):
            loop.fail()
    assert ended == ["out", "out"]


def test_an_error_is_seen_on_its_way() -> None:
    seen: list[BaseException] = []
    loop, taps = Loop(), Taps()
    taps.errors(loop, "fail", seen.append)
    taps.errors(loop, "step", seen.append)
    with pytest.raises(RuntimeError, match="on purpose") as caught:
        loop.fail()
    assert loop.step(2, scale=3) == 6
    assert seen == [caught.value]


def test_what_surrounds_a_call_is_told_its_arguments() -> None:
    told: list[tuple[int, int]] = []

    @contextmanager
    def around(value: int, scale: int = 1) -> Iterator[None]:
        told.append((value, scale))
        yield

    loop, taps = Loop(), Taps()
    taps.calls(loop, "step", around)
    assert loop.step(2, scale=3) == 6
    assert told == [(2, 3)]


def test_afterwards_the_object_is_as_it_was() -> None:
    seen: list[int] = []
    loop, taps = Loop(), Taps()
    loop.__dict__["step"] = patched = lambda value: -value
    taps.results(loop, "step", seen.append)
    taps.results(loop, "evaluate", seen.append)
    taps.remove()
    taps.remove()
    assert vars(loop) == {"step": patched}
    assert (loop.step(4), loop.evaluate(1)) == (-4, 0)
    assert seen == []


def test_a_wrapper_that_came_later_stays_and_nothing_is_seen_through_it_afterwards() -> None:
    seen: list[object] = []

    @contextmanager
    def around(*_: int) -> Iterator[None]:
        seen.append("around")
        yield

    loop, taps = Loop(), Taps()
    taps.results(loop, "step", seen.append)
    taps.calls(loop, "evaluate", around)
    taps.errors(loop, "fail", seen.append)
    tapped = {name: getattr(loop, name) for name in ("step", "evaluate", "fail")}
    loop.__dict__["step"] = wrapper = lambda value: -tapped["step"](value)
    taps.remove()
    assert vars(loop) == {"step": wrapper}
    loop.__dict__ |= tapped  # as whoever wraps a method puts back what was there
    taps.results(loop, "step", seen.append)
    assert (loop.step(4), loop.evaluate(1)) == (4, 0)
    with pytest.raises(RuntimeError, match="on purpose"):
        loop.fail()
    assert seen == [4], "once, not by each tap that there ever was"
