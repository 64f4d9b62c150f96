"""A cut of the learning rate reaches every place that a scheduler sets it from."""

from __future__ import annotations

import pytest
import torch
from torch import nn
from torch.optim import lr_scheduler

from trimtab.rewind import learning_rate


def optimizer_of(lr: float | torch.Tensor = 0.4) -> torch.optim.Optimizer:
    return torch.optim.SGD([nn.Parameter(torch.zeros(1))], lr=lr)


def test_groups_and_schedulers_are_scaled_together() -> None:
    optimizer = optimizer_of()
    scheduler = lr_scheduler.LambdaLR(optimizer, lambda step: 1.0)
    learning_rate.scale([optimizer], [scheduler], 0.5)
    assert (optimizer.param_groups[0]["lr"], optimizer.param_groups[0]["initial_lr"]) == (0.2, 0.2)
    assert scheduler.base_lrs == scheduler.get_last_lr() == [0.2]


def test_the_schedulers_within_a_scheduler_are_scaled() -> None:
    optimizer = optimizer_of()
    inner = [lr_scheduler.ConstantLR(optimizer, 1.0), lr_scheduler.LambdaLR(optimizer, lambda step: 1.0)]
    learning_rate.scale([optimizer], [lr_scheduler.SequentialLR(optimizer, inner, milestones=[3])], 0.25)
    assert [scheduler.base_lrs for scheduler in inner] == [[0.1], [0.1]]


def test_a_rate_in_a_tensor_is_scaled_in_place() -> None:
    rate = torch.tensor(0.4)
    learning_rate.scale([optimizer_of(rate)], [], 0.5)
    assert float(rate) == pytest.approx(0.2)


def test_a_factor_of_one_changes_nothing() -> None:
    optimizer = optimizer_of(0.1)
    learning_rate.scale([optimizer], [], 1.0)
    assert optimizer.param_groups[0]["lr"] == 0.1


@pytest.mark.parametrize("factor", [0.0, -1.0, float("nan"), float("inf")])
def test_a_factor_that_is_none_is_refused(factor: float) -> None:
    optimizer = optimizer_of()
    with pytest.raises(ValueError, match=r"lr_factor: .*: give a finite number above 0"):
        learning_rate.scale([optimizer], [], factor)
    assert optimizer.param_groups[0]["lr"] == 0.4
