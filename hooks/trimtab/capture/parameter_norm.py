"""The global norm of the parameters that the optimizers train, after their step: `param_norm`.

Of parameters that are spread over ranks (FSDP2 and other DTensors, FSDP1) each rank knows its shards only: it
sends the square of their norm as `param_norm_sq_shard`, and the collector adds them up.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor

from trimtab.capture.bundle import Bundle
from trimtab.capture.gradients import square_on_host
from trimtab.capture.instrument import together
from trimtab.capture.shards import Shares, local
from trimtab.vocabulary import PARAM_NORM, PARAM_NORM_SQ_SHARD


class ParameterNorm:
    """One pass over the parameters of all optimizers; `shares`: what of them this rank holds, None: all."""

    def __init__(self, optimizers: Sequence[Any], shares: Shares | None) -> None:
        self._optimizers = optimizers
        self._shares = shares

    def arm(self) -> None:
        """Do nothing: parameters are always there."""

    def before(self) -> None:
        """Do nothing: the norm is that of the parameters as they come out of the step."""

    @torch.no_grad()
    def after(self) -> list[Bundle]:
        """Return the norm, or this rank's share of its square."""
        parameters = trained(self._optimizers)
        if not parameters:
            return []
        tensors = [plain(each) for each in parameters]
        if self._shares is None:
            return together({PARAM_NORM: sum_of_squares(tensors, [1.0] * len(tensors)).sqrt()})
        weights = [self._shares.weight(each) for each in parameters]
        return together({PARAM_NORM_SQ_SHARD: sum_of_squares(tensors, weights)})

    def close(self) -> None:
        """Do nothing: there are no hooks."""


def trained(optimizers: Sequence[Any]) -> list[Tensor]:
    """Return the parameters of optimizers, each once."""
    every = (each for optimizer in optimizers for group in optimizer.param_groups for each in group["params"])
    return list({id(parameter): parameter for parameter in every if parameter.numel()}.values())


def plain(parameter: Any) -> Tensor:
    """Return the numbers of a parameter that are on this rank."""
    tensor: Tensor = local(parameter).detach()
    return torch.view_as_real(tensor) if tensor.is_complex() else tensor


def sum_of_squares(tensors: Sequence[Tensor], weights: Sequence[float]) -> Tensor:
    """Return the sum over tensors, each times its weight, on the device of the first; nothing waits."""
    by_device: dict[torch.device, tuple[list[Tensor], list[float]]] = {}
    for tensor, weight in zip(tensors, weights, strict=True):
        some, theirs = by_device.setdefault(tensor.device, ([], []))
        some.append(tensor)
        theirs.append(weight)
    sums = [_on_one_device(some, theirs) for some, theirs in by_device.values()]
    return torch.stack([each.to(sums[0].device, non_blocking=True) for each in sums]).sum()


def _on_one_device(tensors: list[Tensor], weights: list[float]) -> Tensor:
    if tensors[0].is_cpu:
        squares = (weight * square_on_host(each) for each, weight in zip(tensors, weights, strict=True))
        return torch.tensor(sum(squares), dtype=torch.float64, device="cpu")
    norms = torch._foreach_norm(tensors, 2, dtype=torch.float32)
    return torch.stack(torch._foreach_mul(norms, [math.sqrt(weight) for weight in weights])).square().sum()
