"""How long a rank works by itself: between two exchanges, and never into the job."""

from __future__ import annotations

import copy
import io
from collections.abc import Callable

import pytest
import torch

from trimtab.capture.own_time import (
    PERIOD_S,
    CudaTimer,
    HookedOwnTime,
    HostTimer,
    NullOwnTime,
    OwnTime,
    own_time,
)


def ignore(where: str, error: Exception) -> None:
    raise AssertionError(f"{where}: {error}")


class ScriptedTimer:
    """Counts what it is told, and fails if asked to."""

    def __init__(self, fails: str = "") -> None:
        self.fails = fails
        self.calls: list[str] = []

    def _call(self, name: str) -> None:
        self.calls.append(name)
        if name == self.fails:
            raise RuntimeError(f"no {name}")

    def exchanged(self) -> None:
        self._call("exchanged")

    def ready(self) -> None:
        self._call("ready")

    def read(self) -> list[float]:
        self._call("read")
        return [0.25]


def train(model: torch.nn.Module, optimizer: torch.optim.Optimizer, steps: int = 1, micro: int = 1) -> None:
    for _ in range(steps):
        for _ in range(micro):
            model(torch.ones(2, 4)).sum().backward()
        optimizer.step()
        optimizer.zero_grad()


def small() -> tuple[torch.nn.Module, torch.optim.Optimizer]:
    model = torch.nn.Sequential(torch.nn.Linear(4, 4), torch.nn.Linear(4, 1))
    return model, torch.optim.SGD(model.parameters(), lr=0.01)


def first(model: torch.nn.Module) -> torch.nn.Parameter:
    return next(iter(model.parameters()))


def test_gradients_and_exchanges_are_heard_in_turn() -> None:
    model, optimizer = small()
    timer = ScriptedTimer()
    watched = HookedOwnTime(first(model), optimizer, timer, ignore)
    train(model, optimizer, steps=2, micro=2)
    assert timer.calls == ["ready", "ready", "exchanged"] * 2
    watched.close()
    train(model, optimizer)
    assert len(timer.calls) == 6


def scripted(*readings: float) -> Callable[[], float]:
    left = iter(readings)
    return lambda: next(left)


def test_the_wait_for_the_others_is_left_out() -> None:
    timer = HostTimer(scripted(10.0, 10.2, 10.3, 11.0, 11.1, 12.0))
    timer.exchanged()
    timer.ready()  # of the first micro-batch
    timer.ready()
    timer.exchanged()
    timer.ready()
    timer.exchanged()
    assert timer.read() == pytest.approx([0.3, 0.1])
    assert timer.read() == []


class ScriptedEvent:
    """A point in a device's work at a time of its own, in milliseconds."""

    def __init__(self, *times: float) -> None:
        self.times = list(times)
        self.at = -1.0
        self.reached = False

    def record(self) -> None:
        self.at = self.times.pop(0)

    def query(self) -> bool:
        return self.reached

    def elapsed_time(self, end_event: ScriptedEvent) -> float:
        return end_event.at - self.at


def test_one_step_of_a_device_is_timed_at_a_time() -> None:
    began, ended = ScriptedEvent(100.0, 900.0), ScriptedEvent(120.0, 130.0)
    timer = CudaTimer(began, ended, lambda: False)
    for _ in range(3):
        timer.exchanged()
        timer.ready()
        if timer.read():
            raise AssertionError("the step is not over")
        if len(ended.times) == 1:
            timer.ready()  # of the second micro-batch
    timer.exchanged()
    assert timer.read() == [], "the device has not come so far"
    ended.reached = True
    assert timer.read() == [], "whoever reads does not ask the device"
    timer.exchanged()
    timer.exchanged()
    assert timer.read() == [0.03]
    assert began.at == 100.0
    timer.exchanged()
    assert began.at == 900.0


def test_a_device_is_not_asked_while_a_graph_is_captured() -> None:
    ended = ScriptedEvent(120.0)
    capturing: list[bool] = []
    timer = CudaTimer(ScriptedEvent(100.0), ended, lambda: bool(capturing))
    timer.exchanged()
    timer.ready()
    timer.exchanged()
    ended.reached = True
    capturing.append(True)
    timer.exchanged()
    assert timer.read() == []
    capturing.clear()
    timer.exchanged()
    assert timer.read() == [0.02]


def test_a_graph_under_capture_holds_no_events() -> None:
    timer = CudaTimer(ScriptedEvent(), ScriptedEvent(), lambda: True)
    timer.exchanged()
    timer.ready()
    timer.exchanged()
    assert timer.read() == []


def test_a_step_without_gradients_is_not_timed() -> None:
    timer = HostTimer()
    timer.ready()
    timer.exchanged()
    timer.exchanged()
    assert timer.read() == []


@pytest.mark.parametrize("fails", ["ready", "exchanged"])
def test_what_fails_ends_the_measuring_and_not_the_step(fails: str) -> None:
    model, optimizer = small()
    told: list[str] = []
    timer = ScriptedTimer(fails)
    watched = HookedOwnTime(
        first(model), optimizer, timer, lambda where, error: told.append(f"{where}: {error}")
    )
    optimizer.register_step_pre_hook(lambda *_: None)  # one more that torch goes through afterwards
    train(model, optimizer, steps=3)
    assert told == [f"own time: no {fails}"]
    assert watched.take() is None


def test_a_value_is_handed_out_once_a_period() -> None:
    model, optimizer = small()
    clock = scripted(0.0, 0.5 * PERIOD_S, PERIOD_S, 1.5 * PERIOD_S)
    watched = HookedOwnTime(first(model), optimizer, ScriptedTimer(), ignore, clock)
    assert [watched.take() for _ in range(3)] == [None, 0.25, None]


def test_a_watched_model_can_be_copied_and_saved() -> None:
    model, optimizer = small()
    watched = own_time(model, optimizer, 2, ignore)
    copied = copy.deepcopy(model)
    copied(torch.ones(2, 4)).sum().backward()
    torch.save(model, io.BytesIO())
    watched.close()


def sharded() -> torch.nn.Module:
    model, _ = small()
    first(model)._is_flat_param = True  # type: ignore[attr-defined]
    return model


def frozen() -> torch.nn.Module:
    model, _ = small()
    return model.requires_grad_(False)


def measures(made: OwnTime) -> bool:
    made.close()
    return not isinstance(made, NullOwnTime)


def test_only_what_has_something_to_wait_for_is_measured() -> None:
    model, optimizer = small()
    assert measures(own_time(model, optimizer, 2, ignore))
    assert measures(own_time([model], [optimizer], 8, ignore))
    assert not measures(own_time(model, optimizer, 1, ignore))
    assert not measures(own_time(None, optimizer, 2, ignore))
    assert not measures(own_time(model, None, 2, ignore))
    assert not measures(own_time(sharded(), optimizer, 2, ignore))
    assert not measures(own_time(frozen(), optimizer, 2, ignore))
