"""Which steps an optional signal measures, and that it never gets in the way of the job."""

from __future__ import annotations

import logging
from typing import Any

import pytest
import torch
from torch import nn
from torch._dynamo.testing import CompileCounter

from trimtab.asked import Watched
from trimtab.capture.bundle import Bundle
from trimtab.capture.forward_tap import MOST_UNSEEN
from trimtab.capture.instruments import Instruments, Subject, Turns, instruments
from trimtab.guard import Guard
from trimtab.signals import Signals


class Scripted:
    """An instrument that notes what it is asked, and fails where it is told to."""

    def __init__(self, fails: str = "") -> None:
        self.fails = fails
        self.calls: list[str] = []

    def _call(self, name: str) -> None:
        self.calls.append(name)
        if name == self.fails:
            raise RuntimeError(f"no {name}")

    def arm(self) -> None:
        self._call("arm")

    def before(self) -> None:
        self._call("before")

    def after(self) -> list[Bundle]:
        self._call("after")
        return [Bundle(("x",), torch.ones(1))]

    def close(self) -> None:
        self._call("close")


class Job:
    """Some optimizers, and what is measured of their steps."""

    def __init__(self, every: int = 1, fails: str = "", optimizers: int = 1) -> None:
        self.model = nn.Linear(2, 1)
        self.optimizers = [torch.optim.SGD(self.model.parameters(), lr=0.1) for _ in range(optimizers)]
        self.scripted = Scripted(fails)
        self.measured: list[Bundle] = []
        self.errors: list[str] = []
        turns = Turns("scripted", every, self.scripted, lambda where, error: self.errors.append(str(error)))
        self.instruments = Instruments(self.optimizers, [turns], self.measured.append)

    def steps(self, count: int) -> None:
        for _ in range(count):
            for optimizer in self.optimizers:
                optimizer.step()


def test_every_so_many_steps_are_measured() -> None:
    job = Job(every=3)
    job.steps(2)
    assert job.scripted.calls == ["arm"]
    job.steps(5)
    assert job.scripted.calls == ["arm", "before", "after"] * 2
    assert len(job.measured) == 2


def test_a_step_of_several_optimizers_is_one() -> None:
    job = Job(every=2, optimizers=3)
    job.steps(4)
    assert job.scripted.calls == ["arm", "before", "after"] * 2


def test_a_step_that_the_last_optimizer_leaves_out_ends_with_the_next() -> None:
    job = Job(optimizers=2)
    job.optimizers[0].step()
    job.optimizers[0].step()
    assert job.scripted.calls == ["arm", "before", "after", "arm", "before"]


def test_a_step_that_the_first_optimizer_leaves_out_is_none() -> None:
    job = Job(optimizers=2)
    job.optimizers[1].step()
    assert job.scripted.calls == ["arm"]


@pytest.mark.parametrize("fails", ["arm", "before", "after"])
def test_an_instrument_that_fails_is_closed_and_told_and_the_job_goes_on(fails: str) -> None:
    job = Job(every=2, fails=fails)
    job.steps(6)
    assert job.errors == [f"no {fails}"]
    assert job.scripted.calls[-1] == "close"
    assert job.scripted.calls.count("close") == 1
    assert job.measured == []


def test_when_closed_nothing_is_left_in_the_optimizer() -> None:
    job = Job()
    job.instruments.close()
    job.instruments.close()
    job.steps(2)
    assert job.scripted.calls == ["arm", "close"]
    assert not job.optimizers[0]._optimizer_step_pre_hooks
    assert not job.optimizers[0]._optimizer_step_post_hooks


def test_nothing_is_hooked_unless_asked_for() -> None:
    model = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 1))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    made(Signals(), [model], [optimizer])
    assert not optimizer._optimizer_step_pre_hooks
    assert not any(module._forward_hooks for module in model.modules())


def made(signals: Signals, models: list[Any], optimizers: list[Any]) -> tuple[Instruments, list[Bundle]]:
    bundles: list[Bundle] = []

    def fail(where: str, error: Exception) -> None:
        raise AssertionError(where) from error

    return instruments(Subject(models, optimizers, signals), bundles.append, fail), bundles


ALL = Signals(param_norm_every=1, update_ratio_every=1, activations_every=1, experts_every=1)


def test_without_an_optimizer_it_says_what_is_not_measured(caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING, "trimtab"):
        made(ALL, [nn.Linear(2, 1)], [])
    assert "param_norm, update_ratio, activations, experts: not measured: give an optimizer" in caplog.text


def test_a_compiled_model_is_not_hooked_and_the_rest_is_measured(caplog: pytest.LogCaptureFixture) -> None:
    model = nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 1))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    with caplog.at_level(logging.WARNING, "trimtab"):
        _, bundles = made(ALL, [torch.compile(model, backend="eager")], [optimizer])
    assert caplog.text.count("no hook runs in a compiled model") == 2
    optimizer.step()
    assert [bundle.names[0] for bundle in bundles] == ["param_norm", "update_ratio"]


@pytest.mark.filterwarnings("default")  # of torch's own code, when it compiles
def test_a_model_that_is_compiled_by_another_name_is_compiled_a_few_times_and_in_one_piece() -> None:
    model = nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 4))
    compiler, errors = CompileCounter(), []
    compiled = torch.compile(model, backend=compiler, fullgraph=True)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    subject = Subject([model], [optimizer], Signals(activations_every=1))
    made = instruments(subject, lambda _: None, lambda where, _: errors.append(where))
    for _ in range(3 * MOST_UNSEEN):
        compiled(torch.ones(2, 4)).sum().backward()
        optimizer.step()
    made.close()
    assert errors == ["activations"]
    assert compiler.frame_count <= MOST_UNSEEN + 1


def test_a_model_without_experts_says_so(caplog: pytest.LogCaptureFixture) -> None:
    model = nn.Linear(2, 1)
    with caplog.at_level(logging.WARNING, "trimtab"):
        made(Signals(experts_every=1), [model], [torch.optim.SGD(model.parameters(), lr=0.1)])
    assert "experts: not measured: the model has no such part" in caplog.text


def test_a_model_that_cannot_be_looked_at_costs_only_its_signals() -> None:
    weights = [nn.Parameter(torch.ones(2))]
    optimizer = torch.optim.SGD(weights, lr=0.1)
    told: list[str] = []
    bundles: list[Bundle] = []
    subject = Subject([object()], [optimizer], ALL)
    instruments(subject, bundles.append, lambda where, _error: told.append(where))
    optimizer.step()
    assert told == ["update_ratio", "activations", "experts"]
    assert [bundle.names for bundle in bundles] == [("param_norm",)]


def test_an_optimizer_in_a_wrapper_is_seen_through() -> None:
    class Wrapper:
        def __init__(self, optimizer: Any) -> None:
            self.optimizer = optimizer
            self.param_groups = optimizer.param_groups
            self.state_dict = optimizer.state_dict

    model = nn.Linear(2, 1)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1)
    bundles: list[Bundle] = []
    watched = Watched(model, Wrapper(optimizer), None, None)
    watched.instruments(Signals(param_norm_every=1), Guard(), bundles.append)
    optimizer.step()
    assert len(bundles) == 1
