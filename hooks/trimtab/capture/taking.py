"""Takes the values of a step that are on a device: each device's by one copy, begun beside the training."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from trimtab.capture.bundle import Bundle
from trimtab.capture.copies import Copier, Transfer
from trimtab.capture.step_values import as_text
from trimtab.guard import Tally
from trimtab.vocabulary import NOT_MEASURED

if TYPE_CHECKING:
    import torch
    from torch import Tensor

LOG = logging.getLogger("trimtab")

UNREADABLE: Final = "a value on a device cannot be read"
IN_CAPTURE: Final = "values on a device were given while a CUDA graph was captured"


@dataclass(slots=True, eq=False)
class RowValues:
    """One step's values by metric name, and what of it is on a device still: it has its place in `values`.

    `tensors` have one element each.
    """

    step: int
    time: float
    attempt: int
    values: dict[str, float]
    tensors: Mapping[str, Tensor] = field(default_factory=dict)
    bundles: Sequence[Bundle] = ()


class Taker:
    """Turns the tensors of rows into copies under way; never waits.

    A value that cannot be copied is not measured, counted, and told once by its name.
    """

    def __init__(self, drops: Tally, copier_for: Callable[[torch.device], Copier]) -> None:
        self._drops = drops
        self._copier_for = copier_for
        self._copiers: dict[torch.device, Copier] = {}

    def take(self, row: RowValues) -> list[Transfer]:
        """Take what is on devices as it is now, and let go of the tensors: one copy for each device."""
        tensors, bundles = row.tensors, row.bundles
        if not tensors and not bundles:
            return []
        row.tensors, row.bundles = {}, ()
        if tensors and not bundles:
            device = next(iter(tensors.values())).device
            if len(tensors) == 1 or all(tensor.device == device for tensor in tensors.values()):
                return self._taken(device, tensors, ())
        return self._taken_by_device(row.values, tensors, bundles)

    def _taken_by_device(
        self, values: dict[str, float], tensors: Mapping[str, Tensor], bundles: Sequence[Bundle]
    ) -> list[Transfer]:
        held: dict[torch.device, tuple[dict[str, Tensor], list[Bundle]]] = {}
        for name, tensor in tensors.items():
            held.setdefault(tensor.device, ({}, []))[0][name] = tensor
        for bundle in bundles:
            values.update(dict.fromkeys(bundle.names, NOT_MEASURED))
            held.setdefault(bundle.tensor.device, ({}, []))[1].append(bundle)
        return [each for device, both in held.items() for each in self._taken(device, *both)]

    def tell(self, names: Iterable[str], error: Exception) -> None:
        """Count values that are left out, and log them once."""
        first, *others = names
        if self._drops.count(UNREADABLE, as_text(first), by=1 + len(others)):
            more = f" and {len(others)} more" if others else ""
            LOG.warning("trimtab: %s%s is left out, and counted: %s", first, more, error)

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

    def _count_in_capture(self, values: int) -> None:
        if self._drops.count(IN_CAPTURE, by=values):
            LOG.warning("trimtab: %s: they are not measured: call step() after the replay", IN_CAPTURE)
