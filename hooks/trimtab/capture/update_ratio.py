"""How far a step moves the weights: the norm of the change over the norm of the weights, `update_ratio`.

About 0.001 is usual with Adam; much more is a rate too high, much less one too low. The weights from before
the step are needed for it. A copy of them all would be one more model in memory, so it is a sample: of each
parameter equally many values, evenly spread, `MOST_COPIED` at most in all (16 MiB in float32, for the time
of the optimizer's step; as much again while it is compared). A parameter counts by its size. Of a model with
fewer parameters the ratio is exact. Of sharded parameters it is that of this rank's shards.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from itertools import groupby
from typing import Any, Final

import torch
from torch import Tensor

from trimtab.capture.bundle import Bundle
from trimtab.capture.instrument import together
from trimtab.capture.parameter_norm import plain, trained

MOST_COPIED: Final = 2**22
FEWEST_COPIED: Final = 64
"""Of one parameter, however many there are."""

UPDATE_RATIO: Final = "update_ratio"


class UpdateRatio:
    """Compares the weights before and after a step, over all optimizers and by layer.

    `layers` has the name of a parameter's layer by its `id`; one that is not in it counts in the whole only.
    """

    def __init__(self, optimizers: Sequence[Any], layers: Mapping[int, str]) -> None:
        self._optimizers = optimizers
        self._layers = layers
        self._chosen: list[_Chosen] = []

    def arm(self) -> None:
        """Do nothing: the weights are always there."""

    @torch.no_grad()
    def before(self) -> None:
        """Copy a sample of the weights."""
        parameters = trained(self._optimizers)
        most = max(FEWEST_COPIED, MOST_COPIED // max(1, len(parameters)))
        by_place: dict[tuple[torch.device, str], list[Any]] = {}
        for each in parameters:
            by_place.setdefault((each.device, self._layers.get(id(each), "")), []).append(each)
        self._chosen = [_Chosen(layer, some, most) for (_, layer), some in by_place.items()]

    @torch.no_grad()
    def after(self) -> list[Bundle]:
        """Return the ratio of the whole, and of each layer."""
        moved = [(chosen.layer, *chosen.norms()) for chosen in self._chosen]
        self._chosen = []
        if not moved:
            return []
        ratios = {UPDATE_RATIO: _ratio(moved)}
        by_layer = groupby(sorted(moved, key=_layer), key=_layer)
        ratios |= {f"{UPDATE_RATIO}/{layer}": _ratio(list(parts)) for layer, parts in by_layer if layer}
        return together(ratios)

    def close(self) -> None:
        """Forget the copy."""
        self._chosen = []


_Moved = tuple[str, Tensor, Tensor]


def _layer(moved: _Moved) -> str:
    return moved[0]


class _Chosen:
    """A sample of the parameters of one layer on one device, copied."""

    def __init__(self, layer: str, parameters: Sequence[Any], most: int) -> None:
        self.layer = layer
        self._parameters = parameters
        self._most = most
        self._before = [view.clone() for view in self._views()]
        counts = zip(parameters, self._before, strict=True)
        self._weights = [math.sqrt(plain(each).numel() / max(1, view.numel())) for each, view in counts]

    def norms(self) -> tuple[Tensor, Tensor]:
        """Return the norm of the change and that of the weights before it."""
        change = torch._foreach_sub(self._views(), self._before)
        return self._norm(change), self._norm(self._before)

    def _views(self) -> list[Tensor]:
        return [sampled(plain(each), self._most) for each in self._parameters]

    def _norm(self, tensors: list[Tensor] | tuple[Tensor, ...]) -> Tensor:
        norms = torch._foreach_norm(tensors, 2, dtype=torch.float32)
        norm: Tensor = torch.linalg.vector_norm(torch.stack(torch._foreach_mul(norms, self._weights)))
        return norm


def sampled(tensor: Tensor, most: int) -> Tensor:
    """Return at most `most` values, evenly spread; over all columns, as the stride divides no row evenly."""
    flat = tensor.reshape(-1)
    if flat.numel() <= most:
        return flat
    stride = -(-flat.numel() // most)
    while math.gcd(stride, tensor.shape[-1]) > 1:
        stride += 1
    return flat[::stride]


def _ratio(moved: Sequence[_Moved]) -> Tensor:
    return _whole([change for _, change, _ in moved]) / _whole([weights for _, _, weights in moved])


def _whole(norms: list[Tensor]) -> Tensor:
    """Return the norm over parts, on the device of the first."""
    device = norms[0].device
    whole: Tensor = torch.linalg.vector_norm(torch.stack([n.to(device, non_blocking=True) for n in norms]))
    return whole
