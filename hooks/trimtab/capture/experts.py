"""How evenly the routers of a mixture of experts spread their tokens.

A router is a module named `gate` or `router` beside `experts`. Of all its choices of an expert for a token,
`expert_share/<layer>.max` and `.min` are the shares of the busiest and the idlest expert (1 / experts where
all is even); `expert_entropy/<layer>` is the entropy of the shares over that of even ones: 1 is even, 0 is
all to one.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

import torch
from torch import Tensor
from torch.nn import Module

from trimtab.capture.blocks import spread, unwrapped_models
from trimtab.capture.bundle import Bundle
from trimtab.capture.forward_tap import ForwardTap, Sighted
from trimtab.capture.instrument import together
from trimtab.capture.layers import plain_name

MOST_CHOICES: Final = 2**15
"""How many choices of one router are counted at most, evenly spread over the tokens."""

_NAMES: Final = ("gate", "router")
_TOP_K: Final = ("top_k", "num_experts_per_tok", "moe_top_k", "k")


class Experts:
    """Counts which experts the routers choose."""

    def __init__(self, routers: Sequence[tuple[str, Module, Module]]) -> None:
        self._blocks = {name: block for name, _, block in routers}
        self._values: dict[str, Tensor] = {}
        self._tap = ForwardTap([(name, router) for name, router, _ in routers], self._measure)
        self._sighted = Sighted("router")

    def arm(self) -> None:
        """Listen to the next forward pass."""
        self._values.clear()
        self._tap.arm()

    def before(self) -> None:
        """Do nothing: all that is measured is there."""

    def after(self) -> list[Bundle]:
        """Return what the step's first forward pass showed."""
        self._sighted.note(self._tap.settle())
        values, self._values = self._values, {}
        return together(values)

    def close(self) -> None:
        """Take all hooks out."""
        self._tap.close()

    def _measure(self, name: str, router: Module, output: Any) -> None:
        found = choices(output, _top_k(router, self._blocks[name]))
        if found is not None:
            shares = expert_shares(*found)
            self._values[f"expert_share/{name}.max"] = shares.amax()
            self._values[f"expert_share/{name}.min"] = shares.amin()
            even = math.log(max(2, len(shares)))
            self._values[f"expert_entropy/{name}"] = torch.special.entr(shares).sum() / even


def routers_of(models: Any) -> list[tuple[str, Module, Module]]:
    """Return name, router and its block of each mixture of experts, at most 16, evenly spread."""
    return spread(
        [
            (prefix + name, router, block)
            for prefix, model in unwrapped_models(models)
            for name, router, block in _routers(model)
        ]
    )


def _routers(model: Module) -> Iterator[tuple[str, Module, Module]]:
    for name, block in model.named_modules():
        parts = dict(block.named_children())
        router = next((parts[each] for each in _NAMES if each in parts), None)
        if router is not None and "experts" in parts:
            yield plain_name(name) or "model", router, block


def choices(output: Any, top_k: int) -> tuple[Tensor, int] | None:
    """Return the experts that were chosen, a 1-d tensor of their numbers, and how many there are.

    A router puts out logits (or probabilities) of shape (..., experts), alone or in a tuple beside the
    numbers of those that it chose; where it does not say, the `top_k` largest are.
    """
    parts = [part for part in _tensors(output) if part.ndim > 0 and part.numel()]
    scores = next((part for part in parts if part.is_floating_point() and part.ndim > 1), None)
    if scores is None:
        return None
    experts = scores.shape[-1]
    chosen = next((part for part in parts if part.dtype in (torch.int64, torch.int32)), None)
    if chosen is None:
        chosen = scores.reshape(-1, experts).topk(min(top_k, experts), dim=-1).indices
    flat = chosen.reshape(-1, chosen.shape[-1])
    rows = max(1, MOST_CHOICES // flat.shape[1])
    return flat[:: -(-flat.shape[0] // rows)].reshape(-1), experts


def expert_shares(chosen: Tensor, experts: int) -> Tensor:
    """Return the share of each expert; counted without atomics, so that it is the same each time."""
    each = torch.arange(experts, device=chosen.device, dtype=chosen.dtype)
    return (chosen[:, None] == each).sum(dim=0).float() / chosen.numel()


def _tensors(output: Any) -> list[Tensor]:
    if isinstance(output, Tensor):
        return [] if hasattr(output, "to_local") else [output.detach()]
    parts = output.values() if isinstance(output, Mapping) else output
    if not isinstance(output, Mapping | tuple | list):
        return []
    return [part.detach() for part in parts if isinstance(part, Tensor) and not hasattr(part, "to_local")]


def _top_k(*modules: Module) -> int:
    """Return how many experts a token is sent to, as one of the modules says, or 1."""
    for module in modules:
        for name in _TOP_K:
            value = getattr(module, name, None)
            if isinstance(value, int) and not isinstance(value, bool) and value > 0:
                return value
    return 1
