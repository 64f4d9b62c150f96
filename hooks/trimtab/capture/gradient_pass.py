"""One pass over the gradients of one optimizer: their norm, and on some steps that of each layer.

What is wholly in host memory comes as floats; what is on a device as tensors, which nothing waits for.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from operator import is_
from typing import TYPE_CHECKING, Any, TypeAlias

from trimtab.capture.holdings import DevicePart, HostPart, by_kind
from trimtab.capture.shards import Shares

if TYPE_CHECKING:
    import torch
    from torch import Tensor

Value: TypeAlias = "float | Tensor"
"""A number that the host has, or a tensor of shape () on a device."""


class GradientPass:
    """Measures the gradients of an optimizer as they are when asked.

    Which parameters lie where is found once, and again where the optimizer's groups have changed or the
    model was moved. `shares` says by how much each counts where ranks hold shares; None: all count once.
    """

    def __init__(self, optimizer: Any, shares: Shares | None = None) -> None:
        self.optimizer = optimizer
        self._shares = shares
        self._groups: list[list[Any]] = []
        self._first: Any = None
        self._host: list[HostPart] = []
        self._devices: list[DevicePart] = []
        self._indices: dict[int, tuple[list[int], Tensor]] = {}

    def norm(self) -> Value | None:
        """Return the 2-norm over all gradients, without the factor of a GradScaler; None: there are none."""
        self._look()
        squares = [square for part in self._host if (square := part.square()) is not None]
        found: list[Value] = [
            _norm_of(norms) for part in self._devices if (norms := part.norms()) is not None
        ]
        if squares:
            found.append(math.sqrt(sum(squares)))
        norm = joined(found)
        return None if norm is None else self._unscaled(norm, 1)

    def squares(self, layer_of: Mapping[int, int], count: int) -> tuple[Tensor, frozenset[int]] | None:
        """Return the sums of squares of `count` layers, shape (count,), and which layers have a gradient.

        `layer_of` holds the layer of each parameter by its id. None: there are no gradients.

        Raises:
            KeyError: a parameter that has a gradient is in no layer.
        """
        import torch

        self._look()
        sums, seen = [0.0] * count, set[int]()
        for part in self._host:
            for each, square in part.squares():
                layer = layer_of[id(each)]
                sums[layer] += square
                seen.add(layer)
        total = torch.tensor(sums, dtype=torch.float64, device="cpu") if seen else None
        for position, held in enumerate(self._devices):
            norms = held.norms()
            if norms is not None:
                layers = [layer_of[id(each)] for each in held.having()]
                seen.update(layers)
                added = norms.new_zeros(count).index_add_(
                    0, self._index(position, layers, norms), norms * norms
                )
                total = added if total is None else added + total.to(added, non_blocking=True)
        return None if total is None else (self._unscaled(total, 2), frozenset(seen))

    def _look(self) -> None:
        """See whether what is known of the parameters still holds."""
        groups = self.optimizer.param_groups
        known = len(groups) == len(self._groups) and all(
            len(group["params"]) == len(parameters) and all(map(is_, group["params"], parameters))
            for group, parameters in zip(groups, self._groups, strict=True)
        )
        if known and self._first is not None and self._first[0].device == self._first[1]:
            return
        self._groups = [list(group["params"]) for group in groups]
        parameters = [each for group in self._groups for each in group]
        self._first = (parameters[0], parameters[0].device) if parameters else None
        self._host, self._devices, self._indices = [], [], {}
        for kind, alike in by_kind(parameters, self._shares).items():
            if kind.device.type == "cpu":
                self._host.append(HostPart(kind, alike))
            else:
                self._devices.append(DevicePart(kind, alike))

    def _index(self, position: int, layers: list[int], norms: Tensor) -> Tensor:
        """Return the layers as a tensor beside the norms; it is copied there only where they have changed."""
        known = self._indices.get(position)
        if known is None or known[0] != layers:
            known = self._indices[position] = layers, index_on(layers, norms.device)
        return known[1]

    def _unscaled(self, value: Any, power: int) -> Any:
        """Take the factor out with which a GradScaler leaves a fused optimizer's gradients."""
        scale = getattr(self.optimizer, "grad_scale", None)
        if scale is None:
            return value
        if isinstance(value, float) and scale.device.type == "cpu":
            return value / float(scale) ** power
        if not isinstance(value, float):
            scale = scale.to(value.device, non_blocking=True)
        return value / scale**power


def index_on(positions: Sequence[int], device: torch.device) -> Tensor:
    """Return positions as a tensor on a device, where nothing waits for the copy."""
    import torch

    index = torch.tensor(positions, device="cpu")
    if device.type == "cuda":
        index = index.pin_memory()  # from other memory the copy waits
    return index.to(device, non_blocking=True)


def joined(norms: Sequence[Value]) -> Value | None:
    """Return the norm of which these are parts, on the device of the first that is on one."""
    import torch

    if len(norms) < 2:
        return norms[0] if norms else None
    on_devices = [norm for norm in norms if not isinstance(norm, float)]
    on_host = math.hypot(*[norm for norm in norms if isinstance(norm, float)])
    if not on_devices:
        return on_host
    device = on_devices[0].device
    norm = _norm_of(torch.stack([each.to(device, non_blocking=True) for each in on_devices]))
    return torch.hypot(norm, torch.full_like(norm, on_host)) if len(on_devices) < len(norms) else norm


def _norm_of(norms: Tensor) -> Tensor:
    import torch

    norm: Tensor = torch.linalg.vector_norm(norms)
    return norm
