"""Brings values of a device to the host without waiting for it: what every kind of device has to offer.

A copy has two halves. The training thread takes the values as they are now, which must cost next to nothing;
another thread begins the copy, asks whether it has arrived, and reads it.
"""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Protocol

from trimtab.capture import scalars
from trimtab.capture.bundle import Bundle
from trimtab.vocabulary import NOT_MEASURED

if TYPE_CHECKING:
    import torch
    from torch import Tensor

LOG = logging.getLogger("trimtab")


class Transfer(Protocol):
    """A copy under way; all but its making is for one thread at a time, which need not be the training's."""

    names: tuple[str, ...]

    def begin(self) -> bool:
        """Begin the copy; False: not yet. Those of one device begin in the order in which they were taken."""

    def done(self) -> bool:
        """Tell whether the copy has arrived; never waits."""

    def values(self) -> Mapping[str, float]:
        """Return the values by name; to be called once, when it is done."""

    def drop(self) -> bool:
        """Give the values up; False: the copy still writes to memory of the host, so ask again."""


class Copier(Protocol):
    """Copies from one device to the host."""

    def take(self, tensors: Mapping[str, Tensor], bundles: Sequence[Bundle]) -> list[Transfer] | None:
        """Take the values that they have after the work queued so far; on the training thread, never waits.

        `tensors` have one element each. None: nothing may be taken now, a graph is being captured.
        """


CopierFactory = Callable[["torch.device"], Copier]
_Held = tuple[tuple[str, ...], "Tensor"]


def copier_for(device: torch.device) -> Copier:
    """Return what copies from a device."""
    return _FACTORIES.get(device.type, LateCopier)(device)


def register(device_type: str, factory: CopierFactory | None) -> None:
    """Say what copies from the devices of a type, such as `hpu`; None: what does by default."""
    if factory is None:
        _FACTORIES.pop(device_type, None)
    else:
        _FACTORIES[device_type] = factory


def _cuda(device: torch.device) -> Copier:
    from trimtab.capture.cuda_copies import CudaCopier
    from trimtab.capture.cuda_runtime import CudaRuntime

    return CudaCopier(CudaRuntime(device))


_FACTORIES: dict[str, CopierFactory] = {"cuda": _cuda}


class LateCopier:
    """For devices without pinned copies (MPS, XPU and others): keeps the values and reads them a while later.

    That read waits for the device, on the thread that reads and not in a step. It costs a kernel a value.
    """

    def __init__(self, device: torch.device) -> None:
        self.device = device

    def take(self, tensors: Mapping[str, Tensor], bundles: Sequence[Bundle]) -> list[Transfer] | None:
        """Keep the values as they are at this point."""
        held: list[_Held] = [((name,), value.detach().clone()) for name, value in tensors.items()]
        held += [(bundle.names, bundle.tensor.detach()) for bundle in bundles]
        return [_LateTransfer(held)]


class _LateTransfer(Transfer):
    """Is said to be done when it is asked for the second time."""

    def __init__(self, held: list[_Held]) -> None:
        self.names = tuple(name for names, _ in held for name in names)
        self._held = held
        self._asked = 0

    def begin(self) -> bool:
        return True

    def done(self) -> bool:
        self._asked += 1
        return self._asked > 1

    def values(self) -> Mapping[str, float]:
        return {name: value for held in self._held for name, value in _read(*held).items()}

    def drop(self) -> bool:
        return True


def _read(names: tuple[str, ...], held: Tensor) -> dict[str, float]:
    """Read one tensor; what cannot be read is not measured."""
    try:
        numbers = [scalars.as_float(held)] if len(names) == 1 else held.tolist()
        return dict(zip(names, map(float, numbers), strict=True))
    except (scalars.NotANumberError, RuntimeError, TypeError, ValueError) as error:
        LOG.debug("trimtab: %s on %s cannot be read: %s", names[:3], held.device, error)
        return dict.fromkeys(names, NOT_MEASURED)
