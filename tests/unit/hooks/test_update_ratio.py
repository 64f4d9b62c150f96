"""How far a step moves the weights, whole and by layer."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from trimtab.capture.blocks import parameter_layers
from trimtab.capture.bundle import Bundle
from trimtab.capture.update_ratio import MOST_COPIED, UpdateRatio, sampled


def told(bundles: list[Bundle]) -> dict[str, float]:
    return {name: value for b in bundles for name, value in zip(b.names, b.tensor.tolist(), strict=True)}


def step(ratio: UpdateRatio, optimizer: torch.optim.Optimizer) -> dict[str, float]:
    ratio.before()
    optimizer.step()
    return told(ratio.after())


def with_gradients(model: nn.Module) -> nn.Module:
    for parameter in model.parameters():
        parameter.grad = torch.randn_like(parameter)
    return model


def test_it_is_the_norm_of_the_change_over_that_of_the_weights() -> None:
    model = with_gradients(nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 2)))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.5)
    before = [each.detach().clone() for each in model.parameters()]
    ratios = step(UpdateRatio([optimizer], parameter_layers(model, 100)), optimizer)
    changes = [0.5 * each.grad for each in model.parameters() if each.grad is not None]

    def norm(tensors: list[torch.Tensor]) -> float:
        return float(torch.cat([each.reshape(-1) for each in tensors]).norm())

    assert ratios == {
        "update_ratio": pytest.approx(norm(changes) / norm(before)),
        "update_ratio/0": pytest.approx(norm(changes[:2]) / norm(before[:2])),
        "update_ratio/1": pytest.approx(norm(changes[2:]) / norm(before[2:])),
    }


def test_what_is_in_no_layer_counts_in_the_whole_and_frozen_weights_do_not_move() -> None:
    model = nn.Linear(3, 3)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.5)
    assert step(UpdateRatio([optimizer], {}), optimizer) == {"update_ratio": 0.0}


def test_a_large_parameter_is_sampled_and_counts_by_its_size() -> None:
    torch.manual_seed(0)
    small, large = nn.Parameter(torch.ones(100)), nn.Parameter(torch.randn(3000, 3000))
    small.grad, large.grad = torch.ones(100), large.detach().clone()
    optimizer = torch.optim.SGD([small, large], lr=0.01)
    ratio = UpdateRatio([optimizer], {id(small): "small", id(large): "large"})
    ratio.before()
    assert sum(sample.numel() for chosen in ratio._chosen for sample in chosen._before) <= MOST_COPIED
    optimizer.step()
    ratios = told(ratio.after())
    assert ratios["update_ratio/large"] == pytest.approx(0.01, rel=1e-4)
    assert ratios["update_ratio"] == pytest.approx(0.01, rel=1e-4)


def test_a_sample_is_spread_over_all_columns() -> None:
    columns = torch.arange(64).repeat(1024, 1)
    chosen = sampled(columns, 1024)
    assert len(chosen) <= 1024
    assert set(chosen.tolist()) == set(range(64))


def test_nothing_is_kept_after_a_step_or_when_closed() -> None:
    model = with_gradients(nn.Linear(3, 3))
    optimizer = torch.optim.SGD(model.parameters(), lr=0.5)
    ratio = UpdateRatio([optimizer], {})
    assert step(ratio, optimizer)
    assert ratio.after() == []
    ratio.before()
    ratio.close()
    assert ratio.after() == []
