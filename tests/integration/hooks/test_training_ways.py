"""Every way of training in plain torch: what the loop did is what arrives, step by step."""

from __future__ import annotations

import gc
import math
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
import torch
from torch import Tensor

import trimtab
from trimtab.testing import RecordingCollector
from trimtab.vocabulary import is_measured
from trimtab.watching import Watch

STEPS = 50


@pytest.fixture(autouse=True)
def url(collector: RecordingCollector, home: object, monkeypatch: pytest.MonkeyPatch) -> str:
    monkeypatch.setenv("TRIMTAB_URL", collector.url)
    return collector.url


def small(seed: int = 0) -> torch.nn.Module:
    torch.manual_seed(seed)
    return torch.nn.Sequential(torch.nn.Linear(4, 8), torch.nn.Tanh(), torch.nn.Linear(8, 1))


def batch_of(step: int) -> tuple[Tensor, Tensor]:
    inputs = torch.randn(16, 4, generator=torch.Generator().manual_seed(step))
    return inputs, inputs.sum(1, keepdim=True)


def loss_of(model: torch.nn.Module, step: int) -> Tensor:
    inputs, targets = batch_of(step)
    return torch.nn.functional.mse_loss(model(inputs).float(), targets)


def norm_of(*models: torch.nn.Module) -> float:
    """The reference: the norm of the gradients as they are, in double precision."""
    gradients = [each.grad for model in models for each in model.parameters() if each.grad is not None]
    return float(torch.cat([each.detach().double().reshape(-1) for each in gradients]).norm())


class Noted:
    """What the loop did, to be held against what arrived."""

    def __init__(self) -> None:
        self.losses: list[float] = []
        self.norms: list[float] = []
        self.rates: list[float] = []

    def add(self, loss: Tensor, norm: float, rate: float = 0.05) -> None:
        self.losses.append(float(loss.detach()))
        self.norms.append(norm)
        self.rates.append(rate)

    def compare(self, collector: RecordingCollector) -> None:
        assert collector.rows() == list(range(1, len(self.losses) + 1))
        assert collector.column("loss") == self.losses
        assert collector.column("lr") == pytest.approx(self.rates, nan_ok=True)
        for arrived, norm in zip(collector.column("grad_norm"), self.norms, strict=True):
            assert is_measured(arrived) == (not math.isnan(norm))
            assert math.isnan(norm) or arrived == pytest.approx(norm, rel=1e-4)
        assert collector.events("hook_error") == []
        assert collector.events("samples_dropped") == []


@pytest.fixture
def noted() -> Noted:
    return Noted()


@contextmanager
def watched(model: Any, optimizer: Any, **options: Any) -> Iterator[Watch]:
    with trimtab.watch(model, optimizer, project="ways", **options) as watch:
        yield watch


def sgd(*models: torch.nn.Module, rate: float = 0.05) -> torch.optim.SGD:
    return torch.optim.SGD([each for model in models for each in model.parameters()], lr=rate)


def test_gradients_that_are_accumulated_count_once_a_step(
    collector: RecordingCollector, noted: Noted
) -> None:
    model = small()
    optimizer = sgd(model)
    with watched(model, optimizer) as watch:
        for step in range(STEPS):
            optimizer.zero_grad(set_to_none=True)
            losses = [loss_of(model, 4 * step + micro) / 4 for micro in range(4)]
            for loss in losses:
                loss.backward()  # type: ignore[no-untyped-call]
            noted.add(torch.stack(losses).sum(), norm_of(model))
            optimizer.step()
            watch.step(loss=torch.stack(losses).sum())
    noted.compare(collector)


def test_gradients_dropped_before_the_step_is_told_do_not_matter(
    collector: RecordingCollector, noted: Noted
) -> None:
    model = small()
    optimizer = sgd(model)
    with watched(model, optimizer) as watch:
        for step in range(STEPS):
            loss = loss_of(model, step)
            loss.backward()  # type: ignore[no-untyped-call]
            noted.add(loss, norm_of(model))
            optimizer.step()
            optimizer.zero_grad(set_to_none=True)
            watch.step(loss=loss)
    noted.compare(collector)


def test_a_step_without_gradients_has_no_norm(collector: RecordingCollector, noted: Noted) -> None:
    model = small()
    optimizer = sgd(model)
    with watched(model, optimizer) as watch:
        for step in range(STEPS):
            optimizer.zero_grad(set_to_none=True)
            loss = loss_of(model, step)
            if step % 2:
                loss.backward()  # type: ignore[no-untyped-call]
            noted.add(loss, norm_of(model) if step % 2 else math.nan)
            optimizer.step()
            watch.step(loss=loss)
    noted.compare(collector)


def test_several_optimizers_make_one_norm(collector: RecordingCollector, noted: Noted) -> None:
    front, back = small(1), torch.nn.Linear(1, 1)
    optimizers = [sgd(front, rate=0.05), torch.optim.AdamW(back.parameters(), lr=0.01)]
    with watched([front, back], optimizers) as watch:
        for step in range(STEPS):
            inputs, targets = batch_of(step)
            loss = torch.nn.functional.mse_loss(back(front(inputs)), targets)
            for optimizer in optimizers:
                optimizer.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]
            noted.add(loss, norm_of(front, back))
            for optimizer in optimizers:
                optimizer.step()
            watch.step(loss=loss)
    noted.compare(collector)


def test_groups_make_one_norm_and_the_first_has_the_rate(collector: RecordingCollector, noted: Noted) -> None:
    model = small()
    first, *others = model.parameters()
    optimizer = torch.optim.AdamW(
        [{"params": [first], "lr": 0.02}, {"params": others, "lr": 0.5, "weight_decay": 0.0}]
    )
    scheduler = torch.optim.lr_scheduler.LambdaLR(optimizer, lambda step: 0.9**step)
    with watched(model, optimizer, scheduler=scheduler) as watch:
        for step in range(STEPS):
            if step == STEPS // 2:
                late = torch.nn.Parameter(torch.zeros(1))
                optimizer.add_param_group({"params": [late], "lr": 0.1, "initial_lr": 0.1})
                scheduler.lr_lambdas.append(lambda _: 1.0)
                scheduler.base_lrs.append(0.1)
            optimizer.zero_grad()
            loss = loss_of(model, step)
            loss.backward()  # type: ignore[no-untyped-call]
            noted.add(loss, norm_of(model), optimizer.param_groups[0]["lr"])
            optimizer.step()
            scheduler.step()
            watch.step(loss=loss)
    noted.compare(collector)


def test_the_norm_of_a_clip_is_the_one_before_it(collector: RecordingCollector, noted: Noted) -> None:
    model = small()
    optimizer = sgd(model)
    with watched(model, optimizer) as watch:
        for step in range(STEPS):
            optimizer.zero_grad()
            loss = loss_of(model, step)
            loss.backward()  # type: ignore[no-untyped-call]
            noted.add(loss, norm_of(model))
            norm = torch.nn.utils.clip_grad_norm_(model.parameters(), 0.01)
            optimizer.step()
            watch.step(loss=loss, grad_norm=norm)
    noted.compare(collector)


def test_a_closure_that_is_called_many_times_makes_one_row(
    collector: RecordingCollector, noted: Noted
) -> None:
    model = small()
    optimizer = torch.optim.LBFGS(model.parameters(), lr=0.1, max_iter=3)
    with watched(model, optimizer) as watch:
        for step in range(STEPS):

            def closure(step: int = step) -> float:
                optimizer.zero_grad()
                loss = loss_of(model, step)
                loss.backward()  # type: ignore[no-untyped-call]
                return float(loss.detach())

            loss = torch.as_tensor(optimizer.step(closure))  # type: ignore[no-untyped-call]
            noted.add(loss, norm_of(model), 0.1)
            watch.step(loss=loss)
    noted.compare(collector)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16, torch.float64])
def test_a_loss_of_any_precision_arrives(
    collector: RecordingCollector, noted: Noted, dtype: torch.dtype
) -> None:
    model = small()
    optimizer = sgd(model)
    with watched(model, optimizer) as watch:
        for step in range(STEPS):
            optimizer.zero_grad()
            loss = loss_of(model, step).to(dtype)
            loss.backward()  # type: ignore[no-untyped-call]
            noted.add(loss, norm_of(model))
            optimizer.step()
            watch.step(loss=loss)
    noted.compare(collector)


def test_a_model_in_bfloat16_has_a_norm_of_its_gradients(collector: RecordingCollector, noted: Noted) -> None:
    model = small().bfloat16()
    optimizer = sgd(model)
    with watched(model, optimizer) as watch:
        for step in range(STEPS):
            optimizer.zero_grad()
            inputs, targets = batch_of(step)
            loss = (model(inputs.bfloat16()) - targets.bfloat16()).square().mean()
            loss.backward()
            noted.add(loss, norm_of(model))
            optimizer.step()
            watch.step(loss=loss)
    noted.compare(collector)


class Kept:
    """Lives as long as the graph that keeps it."""

    def __init__(self, tensor: Tensor) -> None:
        self.tensor = tensor


def test_a_step_does_not_keep_the_graph_of_its_loss(collector: RecordingCollector, noted: Noted) -> None:
    model = small()
    optimizer = sgd(model)
    kept: list[weakref.ref[Kept]] = []

    def keep(tensor: Tensor) -> Kept:
        made = Kept(tensor)
        kept.append(weakref.ref(made))
        return made

    with watched(model, optimizer) as watch:
        for step in range(STEPS):
            optimizer.zero_grad()
            kept.clear()
            with torch.autograd.graph.saved_tensors_hooks(keep, lambda each: each.tensor):
                loss = (model[0](batch_of(step)[0])).mean()  # type: ignore[index]
            loss.backward(retain_graph=True)
            noted.add(loss, norm_of(model))
            optimizer.step()
            watch.step(loss=loss, beside=loss * 2)
            assert any(each() is not None for each in kept), "the graph is there for backward to go again"
            del loss
            gc.collect(0)
            assert not any(each() is not None for each in kept)
    noted.compare(collector)


def test_an_evaluation_in_inference_mode_goes_beside_its_step(
    collector: RecordingCollector, noted: Noted
) -> None:
    model = small()
    optimizer = sgd(model)
    evaluated: list[float] = []
    with watched(model, optimizer) as watch:
        for step in range(STEPS):
            optimizer.zero_grad()
            loss = loss_of(model, step)
            loss.backward()  # type: ignore[no-untyped-call]
            noted.add(loss, norm_of(model))
            optimizer.step()
            watch.step(loss=loss)
            if step % 10 == 9:
                with watch.phase("eval"), torch.inference_mode():
                    held_out = loss_of(model, 1000 + step)
                    evaluated.append(float(held_out))
                    watch.record(eval_loss=held_out)
    assert [value for value in collector.column("eval_loss") if is_measured(value)] == evaluated
    assert [value for value in collector.column("loss") if is_measured(value)] == noted.losses
    assert collector.events("hook_error") == []


def test_a_scaler_that_overflows_skips_the_step_and_tells_its_scale(
    collector: RecordingCollector, noted: Noted
) -> None:
    model = small()
    optimizer = sgd(model)
    scaler = torch.amp.GradScaler("cpu", init_scale=1024.0, growth_interval=1000)
    scales: list[float] = []
    with watched(model, optimizer, scaler=scaler) as watch:
        for step in range(STEPS):
            optimizer.zero_grad()
            with torch.autocast("cpu", torch.bfloat16):
                loss = loss_of(model, step)
            bad = step in (20, 21)
            scaler.scale(loss * math.inf if bad else loss).backward()  # type: ignore[no-untyped-call]
            scaler.unscale_(optimizer)
            noted.add(loss, math.nan if bad else norm_of(model))
            scaler.step(optimizer)
            scaler.update()
            scales.append(scaler.get_scale())
            watch.step(loss=loss)
    noted.compare(collector)
    assert collector.column("loss_scale") == scales
    assert scales[-1] == 256.0


def test_a_fused_optimizer_under_a_scaler_has_the_norm_without_its_factor(
    collector: RecordingCollector, noted: Noted
) -> None:
    model = small()
    optimizer = torch.optim.AdamW(model.parameters(), lr=0.05, fused=True)
    scaler = torch.amp.GradScaler("cpu", init_scale=1024.0)
    with watched(model, optimizer, scaler=scaler) as watch:
        for step in range(STEPS):
            optimizer.zero_grad()
            loss = loss_of(model, step)
            scaler.scale(loss).backward()  # type: ignore[no-untyped-call]
            noted.add(loss, norm_of(model) / 1024.0)
            scaler.step(optimizer)
            scaler.update()
            watch.step(loss=loss)
    noted.compare(collector)
