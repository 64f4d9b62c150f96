"""Takes the values of a step off the training thread: what the host has at once, the rest by a copy."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from trimtab.capture import scalars
from trimtab.capture.bundle import Bundle
from trimtab.capture.copies import Copier, Transfer
from trimtab.guard import Tally
from trimtab.vocabulary import NOT_MEASURED

if TYPE_CHECKING:
    import torch
    from torch import Tensor

LOG = logging.getLogger("trimtab")

IN_CAPTURE: Final = "values on a device were given while a CUDA graph was captured"


@dataclass(slots=True, eq=False)
class RowValues:
    """One step's values by metric name: numbers or one-element tensors going in, floats coming out."""

    step: int
    time: float
    attempt: int
    values: dict[str, Any]
    bundles: Sequence[Bundle] = ()


class Taker:
    """Turns the values of rows into floats and copies under way; never waits.

    A value that is not one number, or cannot be copied, is left out of its row and told once by its name.
    """

    def __init__(self, drops: Tally, copier_for: Callable[[torch.device], Copier]) -> None:
        self._drops = drops
        self._copier_for = copier_for
        self._copiers: dict[torch.device, Copier] = {}
        self._told: set[str] = set()

    def take(self, row: RowValues) -> list[Transfer]:
        """Read what the host has, and begin to copy the rest: at once for all that is on one device."""
        unread = [name for name, value in row.values.items() if type(value) is not float]
        if not unread and not row.bundles:
            return []
        tensors = self._tensors(row.values, unread)
        if not row.bundles:
            return [each for device, held in tensors.items() for each in self._taken(device, held, ())]
        bundles: dict[torch.device, list[Bundle]] = {}
        for bundle in row.bundles:
            row.values.update(dict.fromkeys(bundle.names, NOT_MEASURED))
            bundles.setdefault(bundle.tensor.device, []).append(bundle)
        row.bundles = ()
        return [
            transfer
            for device in tensors | bundles
            for transfer in self._taken(device, tensors.get(device, {}), bundles.get(device, ()))
        ]

    def tell(self, names: Iterable[str], error: Exception) -> None:
        """Log that values are left out, once for each name."""
        new = [name for name in names if name not in self._told]
        if new:
            self._told.update(new)
            more = f" and {len(new) - 1} more" if len(new) > 1 else ""
            LOG.warning("trimtab: %s%s is left out: %s", new[0], more, error)

    def _tensors(self, values: dict[str, Any], unread: list[str]) -> dict[torch.device, dict[str, Tensor]]:
        """Read what the host has; return the rest by its device."""
        on_device: dict[torch.device, dict[str, Tensor]] = {}
        device, held = None, dict[str, "Tensor"]()
        for name in unread:
            value = values[name]
            if scalars.is_on_device(value):
                if value.device != device:  # most often there is but one, and to hash it takes longer
                    device = value.device
                    held = on_device.setdefault(device, {})
                held[name] = value
                values[name] = NOT_MEASURED  # keeps its place, and lets go of the graph behind the tensor
            elif value is None or (number := self._number(name, value)) is None:
                del values[name]
            else:
                values[name] = number
        return on_device

    def _taken(
        self, device: torch.device, tensors: Mapping[str, Tensor], bundles: Sequence[Bundle]
    ) -> list[Transfer]:
        """Take all at once; where that fails, each by itself, so that only what is at fault is left out."""
        try:
            transfers = self._copier(device).take(tensors, bundles)
        except Exception as error:  # noqa: BLE001  (whatever a tensor raises costs its own value, not the row)
            return self._singly(device, tensors, bundles, error)
        if transfers is None:
            self._count_in_capture(len(tensors) + sum(len(bundle.names) for bundle in bundles))
        return transfers or []

    def _singly(
        self,
        device: torch.device,
        tensors: Mapping[str, Tensor],
        bundles: Sequence[Bundle],
        error: Exception,
    ) -> list[Transfer]:
        if len(tensors) + len(bundles) == 1:
            self.tell([*tensors, *(name for bundle in bundles for name in bundle.names)], error)
            return []
        taken = [self._taken(device, {name: tensor}, ()) for name, tensor in tensors.items()]
        taken += [self._taken(device, {}, (bundle,)) for bundle in bundles]
        return [transfer for transfers in taken for transfer in transfers]

    def _copier(self, device: torch.device) -> Copier:
        copier = self._copiers.get(device)
        if copier is None:
            copier = self._copiers[device] = self._copier_for(device)
        return copier

    def _number(self, name: str, value: Any) -> float | None:
        try:
            return scalars.as_float(value)
        except scalars.NotANumberError as error:
            self.tell((name,), error)
            return None

    def _count_in_capture(self, values: int) -> None:
        if self._drops.count(IN_CAPTURE, by=values):
            LOG.warning("trimtab: %s: they are not measured: call step() after the replay", IN_CAPTURE)
