"""The norm of the parameters, whole or as one rank's share of its square."""

from __future__ import annotations

import math
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from torch import Tensor, nn

from trimtab.capture.bundle import Bundle
from trimtab.capture.parameter_norm import ParameterNorm
from trimtab.capture.shards import shares_of


def told(bundles: list[Bundle]) -> dict[str, float]:
    return {name: value for b in bundles for name, value in zip(b.names, b.tensor.tolist(), strict=True)}


def after(*parameters: Any) -> dict[str, float]:
    optimizers = [SimpleNamespace(param_groups=[{"params": list(parameters)}])]
    return told(ParameterNorm(optimizers, shares_of(None, optimizers, None)).after())


def test_it_is_over_all_parameters_of_all_groups_and_optimizers_each_once() -> None:
    first, second, third = (nn.Parameter(torch.randn(n, 3)) for n in (2, 5, 4))
    optimizers: list[torch.optim.Optimizer] = [
        torch.optim.SGD([{"params": [first]}, {"params": [second]}], lr=0.1),
        torch.optim.SGD([third], lr=0.1),
        torch.optim.SGD([third], lr=0.1),
    ]
    every = torch.cat([each.detach().reshape(-1) for each in (first, second, third)])
    assert told(ParameterNorm(optimizers, None).after()) == {"param_norm": pytest.approx(float(every.norm()))}


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16, torch.float64, torch.complex64])
def test_every_type_of_number_has_its_norm(dtype: torch.dtype) -> None:
    parameter = torch.full((300, 300), 2.0, dtype=dtype)
    assert after(parameter)["param_norm"] == pytest.approx(600.0)


def test_there_is_none_without_parameters_that_have_values() -> None:
    assert after(nn.Parameter(torch.empty(0))) == {}


class Shard:
    """A tensor of which this rank has a part, with the parts of a DTensor that are used."""

    def __init__(self, part: Tensor, replicated: tuple[bool, ...], mesh: tuple[int, ...]) -> None:
        self._local_tensor = part
        self.grad = self.full_tensor = None
        self.placements = [
            SimpleNamespace(is_replicate=lambda alike=alike: alike, is_partial=lambda: False)
            for alike in replicated
        ]
        self.device_mesh = SimpleNamespace(size=lambda of=None: math.prod(mesh) if of is None else mesh[of])

    def numel(self) -> int:
        return self._local_tensor.numel()


def test_shares_of_squares_add_up_to_the_whole_over_all_ranks() -> None:
    """Four ranks: two replicas of two shards, beside a bias that all have."""
    weight, bias = torch.randn(8, 4), torch.randn(4)
    total = 0.0
    for rank in range(4):
        shares = after(Shard(weight.chunk(2)[rank % 2], replicated=(True, False), mesh=(2, 2)), bias)
        assert list(shares) == ["param_norm_sq_shard"]
        total += shares["param_norm_sq_shard"]
    assert total == pytest.approx(float(weight.norm() ** 2 + bias.norm() ** 2))
