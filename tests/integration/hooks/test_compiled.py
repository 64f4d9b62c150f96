"""Under `torch.compile`: a compiled model is measured like any other, a compiled optimizer step is not."""

from __future__ import annotations

import itertools
import logging
from collections.abc import Callable, Iterator
from typing import Any

import pytest
import torch
from torch import Tensor

import trimtab
from trimtab.capture.gradient_watch import RECORDED
from trimtab.capture.own_time import PERIOD_S, HookedOwnTime, HostTimer
from trimtab.testing import RecordingCollector
from trimtab.vocabulary import is_measured

pytestmark = [
    # Of torch's own code, when it compiles itself: as errors they would end the compiling.
    pytest.mark.filterwarnings("ignore::DeprecationWarning"),
    pytest.mark.filterwarnings("ignore::UserWarning"),
]
STEPS = 50
BACKEND = "aot_eager"
"""All of the compiler but the making of kernels, which takes long and needs one for C++."""


@pytest.fixture(autouse=True)
def fresh_compiler() -> Iterator[None]:
    torch._dynamo.reset()
    yield
    torch._dynamo.reset()


@pytest.fixture(autouse=True)
def url(collector: RecordingCollector, home: object, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("TRIMTAB_URL", collector.url)


def compiled(function: Any) -> Any:
    return torch.compile(function, backend=BACKEND)


class Loop:
    """Trains, and notes what it did."""

    def __init__(self) -> None:
        torch.manual_seed(0)
        self.model = torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.Tanh(), torch.nn.Linear(8, 1))
        self.optimizer = torch.optim.SGD(self.model.parameters(), lr=0.05)
        self.losses: list[float] = []
        self.norms: list[float] = []

    def step(self, forward: Callable[[Tensor], Tensor], optimize: Callable[[], Any]) -> Tensor:
        inputs = torch.randn(16, 4)
        self.optimizer.zero_grad()
        loss = (forward(inputs) - inputs.sum(1, keepdim=True)).square().mean()
        loss.backward()  # type: ignore[no-untyped-call]
        gradients = [each.grad.reshape(-1) for each in self.model.parameters() if each.grad is not None]
        self.losses.append(float(loss.detach()))
        self.norms.append(float(torch.cat(gradients).norm()))
        optimize()
        return loss


def test_a_compiled_model_is_measured_like_any_other(collector: RecordingCollector) -> None:
    loop = Loop()
    model = compiled(loop.model)
    with trimtab.watch(model, loop.optimizer, project="compiled") as watch:
        for _ in range(STEPS):
            watch.step(loss=loop.step(model, loop.optimizer.step))
    assert collector.rows() == list(range(1, STEPS + 1))
    assert collector.column("loss") == loop.losses
    assert collector.column("grad_norm") == pytest.approx(loop.norms)
    assert collector.events("hook_error") == []


def test_a_compiled_optimizer_step_is_not_looked_into_and_that_is_told_once(
    collector: RecordingCollector, caplog: pytest.LogCaptureFixture
) -> None:
    loop = Loop()
    optimize = compiled(loop.optimizer.step)
    with (
        caplog.at_level(logging.WARNING, "trimtab"),
        trimtab.watch(loop.model, loop.optimizer, project="compiled") as watch,
    ):
        for _ in range(STEPS):
            watch.step(loss=loop.step(loop.model, optimize))
    assert collector.rows() == list(range(1, STEPS + 1))
    assert collector.column("loss") == loop.losses
    assert loop.losses[-1] < loop.losses[0]
    assert not any(is_measured(norm) for norm in collector.column("grad_norm"))
    assert set(collector.column("lr")) == {0.05}
    assert collector.events("hook_error") == []
    told = [record.getMessage() for record in caplog.records if record.name == "trimtab"]
    assert told == [f"trimtab: {RECORDED}"]


def test_a_norm_that_the_loop_gives_arrives_beside_a_compiled_optimizer_step(
    collector: RecordingCollector, caplog: pytest.LogCaptureFixture
) -> None:
    loop = Loop()
    optimize = compiled(loop.optimizer.step)
    with trimtab.watch(loop.model, loop.optimizer, project="compiled") as watch:
        for _ in range(STEPS):
            loss = loop.step(loop.model, optimize)
            watch.step(loss=loss, grad_norm=torch.tensor(loop.norms[-1]))
    assert collector.column("grad_norm") == pytest.approx(loop.norms)


def test_the_own_time_of_a_compiled_optimizer_step_is_not_measured() -> None:
    loop = Loop()
    clock = itertools.count(0.0, PERIOD_S)
    first = next(iter(loop.model.parameters()))
    own = HookedOwnTime(first, loop.optimizer, HostTimer(), _fail, lambda: next(clock))
    optimize = compiled(loop.optimizer.step)
    for _ in range(STEPS):
        loop.step(loop.model, optimize)
    assert own.take() is None
    for _ in range(3):
        loop.step(loop.model, loop.optimizer.step)
    taken = own.take()
    assert taken is not None
    assert 0.0 < taken < 60.0
    own.close()


def _fail(where: str, error: Exception) -> None:
    raise AssertionError(f"{where}: {error}")


def test_a_step_that_is_told_within_compiled_code_is_recorded_once(collector: RecordingCollector) -> None:
    loop = Loop()
    with trimtab.watch(loop.model, loop.optimizer, project="compiled") as watch:
        tell = torch.compiler.disable(watch.step)  # type: ignore[no-untyped-call]

        def forward(inputs: Tensor) -> Tensor:
            loss: Tensor = loop.model(inputs).square().mean()
            tell(loss=loss)
            return loss * 2.0

        forward = compiled(forward)
        losses = [float(forward(torch.randn(16, 4)).detach()) / 2.0 for _ in range(STEPS)]
    assert collector.rows() == list(range(1, STEPS + 1))
    assert collector.column("loss") == losses
