"""What is asked in turn, and what comes next when time runs out."""

from __future__ import annotations

from collections.abc import Callable

from trimtab.sensors.rota import Rota, Task


class Asked:
    """Names what was asked, and spends `call_s` of its clock on each."""

    def __init__(self, call_s: float = 0.0) -> None:
        self.names: list[str] = []
        self.now = 100.0
        self.call_s = call_s

    def __call__(self, name: str) -> Callable[[], None]:
        def ask() -> None:
            self.names.append(name)
            self.now += self.call_s

        return ask

    def turn(self, rota: Rota, now: float, limit_s: float = 0.15) -> list[str]:
        self.names, self.now = [], now
        rota.turn(limit_s)
        return self.names


def test_each_is_asked_as_often_as_its_period_says() -> None:
    asked = Asked()
    rota = Rota([Task(1.0, asked("often")), Task(5.0, asked("seldom"))], lambda: asked.now)
    turns = [asked.turn(rota, 100.0 + second) for second in range(7)]
    assert turns == [["often", "seldom"], *[["often"]] * 4, ["often", "seldom"], ["often"]]


def test_a_turn_that_comes_a_little_early_counts() -> None:
    asked = Asked()
    rota = Rota([Task(1.0, asked("a"))], lambda: asked.now)
    turns = [asked.turn(rota, now) for now in (100.0, 100.99, 101.3, 101.9)]
    assert turns == [["a"], ["a"], [], ["a"]]


def test_what_finds_no_time_is_first_in_the_next_turn() -> None:
    asked = Asked(call_s=0.1)
    rota = Rota([Task(1.0, asked(name)) for name in "abcde"], lambda: asked.now)
    turns = ["".join(asked.turn(rota, 100.0 + second)) for second in range(5)]
    assert turns == ["ab", "cd", "ea", "bc", "da"]


def test_one_is_asked_however_long_it_takes() -> None:
    asked = Asked(call_s=60.0)
    rota = Rota([Task(1.0, asked(name)) for name in "ab"], lambda: asked.now)
    assert [asked.turn(rota, 100.0), asked.turn(rota, 200.0)] == [["a"], ["b"]]
