"""Layers' gradient norms: on every so many steps, under the model's names, one bundle a row."""

from __future__ import annotations

import math
from typing import Any

import pytest
import torch
from torch import nn

from trimtab.capture.optimizer import OptimizerCapture
from trimtab.signals import Signals

EACH_STEP = Signals(layer_norms_every=1)


class Tied(nn.Module):
    """An embedding whose weights are the head's too, two blocks of which the first is frozen, and a scale."""

    def __init__(self) -> None:
        super().__init__()
        self.scale = nn.Parameter(torch.ones(1))
        self.embed = nn.Embedding(5, 3)
        self.layers = nn.ModuleList(nn.Linear(3, 3) for _ in range(2))
        self.head = nn.Linear(3, 5, bias=False)
        self.head.weight = self.embed.weight
        self.layers[0].requires_grad_(False)


def with_gradients(model: Any, value: float = 1.0) -> Any:
    for parameter in model.parameters():
        parameter.grad = torch.full_like(parameter, value) if parameter.requires_grad else None
    return model


def sgd(parameters: Any, **options: Any) -> torch.optim.SGD:
    return torch.optim.SGD(parameters, lr=0.0, **options)


def measured(capture: OptimizerCapture) -> dict[str, float]:
    """What one row takes: of one bundle at most."""
    found: dict[str, float] = {}
    for bundle in capture.bundles:
        found |= dict(zip(bundle.names, bundle.tensor.tolist(), strict=True))
    assert len(capture.bundles) <= 1
    capture.bundles.clear()
    return found


def test_layers_have_the_names_of_the_model_whatever_is_around_it() -> None:
    model = with_gradients(Tied())
    names = {"grad_norm/scale": 1.0, "grad_norm/embed": math.sqrt(15), "grad_norm/layers.1": math.sqrt(12)}
    for shown in (model, nn.DataParallel(model), torch.compile(model, backend="eager")):
        optimizer = sgd(model.parameters())
        capture = OptimizerCapture(optimizer, model=shown, signals=EACH_STEP)
        optimizer.step()
        assert capture.take_grad_norm() == pytest.approx(math.sqrt(28))
        assert measured(capture) == pytest.approx(names)
        capture.close()


def test_they_come_on_every_so_many_steps_and_the_norm_on_each() -> None:
    model = with_gradients(nn.Linear(2, 2))
    optimizer = sgd(model.parameters())
    capture = OptimizerCapture(optimizer, model=model, signals=Signals(layer_norms_every=3))
    rows = []
    for _ in range(7):
        optimizer.step()
        assert capture.take_grad_norm() == pytest.approx(math.sqrt(6))
        rows.append(bool(measured(capture)))
    assert rows == [False, False, True, False, False, True, False]


def test_they_go_on_when_the_loop_gives_its_own_norm() -> None:
    model = with_gradients(nn.Linear(2, 2))
    optimizer = sgd(model.parameters())
    capture = OptimizerCapture(optimizer, model=model, signals=Signals(layer_norms_every=2))
    capture.stand_down()
    rows = []
    for _ in range(4):
        optimizer.step()
        assert capture.take_grad_norm() is None
        rows.append(len(measured(capture)))
    assert rows == [0, 2, 0, 2]


def test_there_are_no_more_than_asked_for() -> None:
    model = with_gradients(nn.Sequential(*(nn.Linear(2, 2) for _ in range(30))))
    optimizer = sgd(model.parameters())
    capture = OptimizerCapture(optimizer, model=model, signals=Signals(layer_norms_every=1, layers=10))
    optimizer.step()
    layers = measured(capture)
    assert list(layers) == [f"grad_norm/{start}-{start + 2}" for start in range(0, 30, 3)]
    assert list(layers.values()) == pytest.approx([math.sqrt(18)] * 10)


def test_without_a_model_the_optimizers_names_or_groups_count() -> None:
    first, second = with_gradients(nn.Linear(2, 2)), with_gradients(nn.Linear(3, 3))
    grouped = sgd([{"params": first.parameters()}, {"params": second.parameters()}])
    capture = OptimizerCapture(grouped, signals=EACH_STEP)
    grouped.step()
    assert measured(capture) == pytest.approx({"grad_norm/group0": 6**0.5, "grad_norm/group1": 12**0.5})
    named = sgd(nn.Sequential(first, second).named_parameters())
    capture = OptimizerCapture(named, signals=EACH_STEP)
    named.step()
    assert measured(capture) == pytest.approx({"grad_norm/0": 6**0.5, "grad_norm/1": 12**0.5})


def test_a_layer_that_two_optimizers_share_is_one() -> None:
    model = with_gradients(nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2, bias=False)))
    weights, biases = sgd([model[0].weight, model[1].weight]), sgd([model[0].bias])
    capture = OptimizerCapture([weights, biases], model=model, signals=EACH_STEP)
    weights.step()
    biases.step()
    assert measured(capture) == pytest.approx({"grad_norm/0": 6**0.5, "grad_norm/1": 2.0})
    biases.step()  # alone, as where one trains more often than the other
    assert measured(capture) == pytest.approx({"grad_norm/0": 2**0.5})


def test_what_no_row_took_is_replaced() -> None:
    model = nn.Linear(2, 2)
    optimizer = sgd(model.parameters())
    capture = OptimizerCapture(optimizer, model=model, signals=EACH_STEP)
    for step in range(1, 50):
        with_gradients(model, float(step))
        optimizer.step()
    assert measured(capture) == pytest.approx({"grad_norm/weight": 2 * 49.0, "grad_norm/bias": 2**0.5 * 49.0})


def test_a_layer_that_had_a_gradient_once_is_zero_without_one() -> None:
    model = with_gradients(nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2)))
    optimizer = sgd(model.parameters())
    model[1].weight.grad = model[1].bias.grad = None
    capture = OptimizerCapture(optimizer, model=model, signals=EACH_STEP)
    rows = []
    for without in (1, 0, 1):
        with_gradients(model)
        model[without].weight.grad = model[without].bias.grad = None
        optimizer.step()
        rows.append(measured(capture))
    assert [list(row) for row in rows] == [
        ["grad_norm/0"],
        ["grad_norm/0", "grad_norm/1"],
        ["grad_norm/0", "grad_norm/1"],
    ]
    assert (rows[1]["grad_norm/0"], rows[2]["grad_norm/1"]) == (0.0, 0.0)


def test_parameters_that_come_to_the_optimizer_come_to_the_layers() -> None:
    model = with_gradients(nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2)))
    optimizer = sgd(model[0].parameters())
    capture = OptimizerCapture(optimizer, model=model, signals=EACH_STEP)
    optimizer.step()
    assert list(measured(capture)) == ["grad_norm/0"]
    optimizer.add_param_group({"params": list(model[1].parameters())})
    optimizer.step()
    assert list(measured(capture)) == ["grad_norm/0", "grad_norm/1"]


def test_the_factor_of_a_gradient_scaler_is_taken_out() -> None:
    model = nn.Linear(2, 1, bias=False)
    optimizer = torch.optim.AdamW(model.parameters(), fused=True)
    scaler = torch.amp.GradScaler("cpu", init_scale=1024.0)
    capture = OptimizerCapture(optimizer, scaler, model=model, signals=EACH_STEP)
    torch.autograd.backward([scaler.scale(model(torch.tensor([3.0, 4.0])).sum())])
    scaler.step(optimizer)
    assert measured(capture) == pytest.approx({"grad_norm/weight": 5.0})


def test_only_the_layer_that_is_not_finite_shows_it() -> None:
    model = with_gradients(nn.Sequential(nn.Linear(2, 2), nn.Linear(2, 2)))
    model[1].bias.grad[0] = math.nan
    optimizer = sgd(model.parameters())
    capture = OptimizerCapture(optimizer, model=model, signals=EACH_STEP)
    optimizer.step()
    norm: Any = capture.take_grad_norm()
    found = measured(capture)
    assert math.isnan(norm)
    assert math.isnan(found["grad_norm/1"])
    assert math.isfinite(found["grad_norm/0"])
