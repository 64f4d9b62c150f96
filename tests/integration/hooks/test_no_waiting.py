"""A whole watched run on a pretended device: nothing of Trimtab waits for it, on any thread."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import torch
from torch import Tensor

import trimtab
from trimtab.testing import RecordingCollector
from trimtab.testing_device import Log, PretendedRuntime, pretend_module, pretended, pretending
from trimtab.vocabulary import is_measured

STEPS = 60


@pytest.fixture
def runtime() -> PretendedRuntime:
    return PretendedRuntime()


@pytest.fixture
def log(runtime: PretendedRuntime) -> Iterator[Log]:
    with pretending(runtime) as log:
        yield log


@pytest.fixture
def url(collector: RecordingCollector, home: object, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("TRIMTAB_URL", collector.url)
    return collector.url


def host_values(tensor: Tensor) -> Tensor:
    """Read a pretended tensor behind its back: nothing is counted."""
    held: Tensor = tensor.held  # type: ignore[attr-defined]
    return held


class Training:
    """A small model on the pretended device, with an optimizer; it notes what is to arrive."""

    def __init__(self, optimizer: str = "sgd") -> None:
        torch.manual_seed(0)
        self.model = pretend_module(torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.Linear(8, 1)))
        parameters = list(self.model.parameters())
        self.optimizer = (
            torch.optim.AdamW(parameters, lr=0.01)
            if optimizer == "adamw"
            else torch.optim.SGD(parameters, lr=0.01, momentum=0.9)
        )
        self.losses: list[float] = []
        self.norms: list[float] = []

    def step(self) -> Tensor:
        batch = pretended(torch.randn(16, 4))
        loss: Tensor = (self.model(batch) - 1.0).square().mean()
        self.optimizer.zero_grad()
        loss.backward()  # type: ignore[no-untyped-call]
        gradients = [host_values(each.grad) for each in self.model.parameters() if each.grad is not None]
        self.norms.append(float(torch.cat([each.reshape(-1) for each in gradients]).norm()))
        self.losses.append(float(host_values(loss.detach())))
        self.optimizer.step()
        return loss


def arrived(collector: RecordingCollector, name: str) -> list[float]:
    return [value for value in collector.column(name) if is_measured(value)]


@pytest.mark.parametrize("optimizer", ["sgd", "adamw"])
def test_nothing_waits_and_every_value_arrives(
    collector: RecordingCollector, url: str, log: Log, optimizer: str
) -> None:
    training = Training(optimizer)
    with trimtab.watch(training.model, training.optimizer, project="device") as watch:
        for step in range(1, STEPS + 1):
            loss = training.step()
            watch.step(loss=loss, accuracy=pretended(torch.tensor(step / STEPS)))
    assert log.waits == []
    assert collector.rows() == list(range(1, STEPS + 1))
    assert arrived(collector, "loss") == pytest.approx(training.losses)
    assert arrived(collector, "grad_norm") == pytest.approx(training.norms)
    assert arrived(collector, "accuracy") == pytest.approx([step / STEPS for step in range(1, STEPS + 1)])
    assert collector.events("samples_dropped") == []
    assert collector.events("hook_error") == []


def test_a_step_with_three_values_of_a_device_runs_one_kernel(url: str, log: Log) -> None:
    values = {name: pretended(torch.tensor(1.0)) for name in ("loss", "grad_norm", "lr")}
    with trimtab.watch(project="device") as watch:
        for _ in range(STEPS):
            log.clear()
            watch.step(**values)
            assert [op for op in log.ops if op != "aten::copy_"] == ["aten::stack"]


def test_signals_do_not_wait_either(collector: RecordingCollector, url: str, log: Log) -> None:
    training = Training()
    signals = trimtab.Signals(layer_norms_every=2, param_norm_every=3, update_ratio_every=4)
    with trimtab.watch(training.model, training.optimizer, project="device", signals=signals) as watch:
        for _ in range(STEPS):
            watch.step(loss=training.step())
    assert log.waits == []
    assert len(arrived(collector, "grad_norm/0")) == STEPS // 2
    assert arrived(collector, "loss") == pytest.approx(training.losses)


def test_values_given_while_a_graph_is_captured_are_counted_and_told_once(
    collector: RecordingCollector,
    url: str,
    log: Log,
    runtime: PretendedRuntime,
    caplog: pytest.LogCaptureFixture,
) -> None:
    loss = pretended(torch.tensor(2.0))
    with trimtab.watch(project="device") as watch:
        for step in range(1, STEPS + 1):
            runtime.capturing = 10 < step <= 13
            log.clear()
            watch.step(loss=loss, lr=0.1)
            assert not (runtime.capturing and "aten::stack" in log.ops)
    assert collector.rows() == list(range(1, STEPS + 1))
    assert [is_measured(value) for value in collector.column("loss")].count(False) == 3
    assert set(collector.column("lr")) == {0.1}
    assert sum(event["count"] for event in collector.events("samples_dropped")) == 3
    assert sum("CUDA graph" in record.getMessage() for record in caplog.records) == 1


def _item(loss: Tensor) -> Any:
    return loss.item()


def _branch(loss: Tensor) -> Any:
    return 1 if loss > 0 else 0


def _compare(loss: Tensor) -> Any:
    return torch.equal(loss, loss)


def _to_host(loss: Tensor) -> Any:
    return loss.cpu()


def _copy(loss: Tensor) -> Any:
    return torch.empty(()).copy_(loss)


def _make(loss: Tensor) -> Any:
    return torch.tensor([1.0]).to(loss.device)


def _count(loss: Tensor) -> Any:
    return loss.nonzero()


@pytest.mark.parametrize("wait", [float, int, bool, _item, _branch, _compare, _to_host, _copy, _count, _make])
def test_the_double_notices_what_waits(log: Log, wait: Any) -> None:
    loss = pretended(torch.tensor(1.5))
    log.clear()
    wait(loss)
    assert len(log.waits) == 1
    assert log.waits[0].endswith("in MainThread")


def test_the_double_notices_a_hook_that_waits(url: str, log: Log) -> None:
    training = Training()

    def look(optimizer: torch.optim.Optimizer, *_: Any) -> None:
        optimizer.param_groups[0]["params"][0].grad.norm().item()

    training.optimizer.register_step_pre_hook(look)
    with trimtab.watch(training.model, training.optimizer, project="device") as watch:
        watch.step(loss=training.step())
    assert log.waits == ["aten::_local_scalar_dense in MainThread"]
