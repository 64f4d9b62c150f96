"""Copies from a CUDA device: one small kernel in the training thread, all else beside it.

The values of a step are gathered on the job's stream as they are then, for a loop may overwrite them. Another
thread lets a side stream wait for that and copy them to pinned memory, where their arrival can be seen
without asking CUDA (`host_slots.py`). docs/decisions/0017 says why.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Mapping, Sequence
from typing import Any, Protocol

import torch
from torch import Tensor

from trimtab.capture.bundle import Bundle
from trimtab.capture.copies import Transfer
from trimtab.capture.host_slots import MARKERS, Slot, Slots

_Named = tuple[tuple[str, ...], Tensor]
"""Names, and their values in a tensor of shape (len(names),)."""


class Mark(Protocol):
    """A point in a stream's work, as `torch.cuda.Event` is."""

    def record(self, stream: Any = None) -> None:
        """Put it after the work queued so far on a stream."""


class Runtime(Protocol):
    """What a copy needs of a device."""

    def is_capturing(self) -> bool:
        """Tell whether what the calling thread queues now would become part of a graph."""

    def mark(self, again: Mark | None) -> Mark:
        """Mark the point that the current stream of this thread has come to; `again`: a mark to use anew."""

    def host_memory(self, rows: int, columns: int, dtype: torch.dtype) -> Tensor:
        """Return memory of the host that the device can copy to by itself."""

    def copy(self, into: Tensor, source: Tensor, after: Mark) -> None:
        """Begin to copy to such memory, after a mark; tensors of shape (n,) and of one dtype; never waits."""


class CudaCopier:
    """Copies from one device. `take` is for the training thread, its transfers for one thread at a time."""

    def __init__(self, runtime: Runtime) -> None:
        self.runtime = runtime
        self.slots = Slots(runtime.host_memory)
        self.marks: deque[Mark] = deque()
        self.newest: CudaTransfer | None = None

    def take(self, tensors: Mapping[str, Tensor], bundles: Sequence[Bundle]) -> list[Transfer] | None:
        """Take the values as they are: a kernel for all tensors of a dtype, and one mark."""
        if self.runtime.is_capturing():
            return None
        held = gathered(tensors)
        if bundles:
            held += [_copyable(bundle) for bundle in bundles]
        for names, tensor in held:
            self.slots.provide(tensor.dtype, len(names))
        mark = self.runtime.mark(self.marks.popleft() if self.marks else None)
        last = len(held) - 1
        return [CudaTransfer(self, *each, mark, index == last) for index, each in enumerate(held)]


class CudaTransfer:
    """A copy of one bundle; it keeps the bundle's tensor alive until the copy has arrived."""

    __slots__ = ("_copier", "_is_last", "_mark", "_slot", "_tensor", "names")

    def __init__(
        self, copier: CudaCopier, names: tuple[str, ...], tensor: Tensor, mark: Mark, is_last: bool
    ) -> None:
        self._copier, self._mark, self._is_last = copier, mark, is_last
        self.names = names
        self._tensor: Tensor | None = tensor
        self._slot: Slot | None = None

    def begin(self) -> bool:
        """Begin the copy; False: all slots are in use."""
        assert self._tensor is not None, "a copy begins once"
        copier, tensor = self._copier, self._tensor
        slot = copier.slots.pop(tensor.dtype, len(self.names))
        if slot is None:
            return False
        try:
            copier.runtime.copy(slot.values[: len(self.names)], tensor, self._mark)
        except RuntimeError:
            copier.slots.push(slot)
            raise
        if self._is_last:
            copier.marks.append(self._mark)  # what waits for it waits for the point that it marked till now
        self._slot = slot
        copier.newest = self
        return True

    def done(self) -> bool:
        """Tell whether it has arrived, or a later one has: the copies of a stream arrive in order."""
        newest = self._copier.newest
        return self._has_come() or (newest is not None and newest is not self and newest._has_come())

    def values(self) -> Mapping[str, float]:
        """Return the values, once, and give the memory back."""
        slot, self._slot, self._tensor = self._slot, None, None
        if slot is None:
            return {}
        read = dict(zip(self.names, slot.values.tolist(), strict=False))  # a slot may be longer
        self._copier.slots.push(slot)
        return read

    def drop(self) -> bool:
        """Give the values up; False: the copy still writes to its memory, so ask again."""
        if self._slot is not None and not self.done():
            return False
        self.values()
        return True

    def _has_come(self) -> bool:
        if self._slot is None:
            return self._tensor is None
        return self._slot.is_full(len(self.names))


def gathered(tensors: Mapping[str, Tensor]) -> list[_Named]:
    """Return the values of one-element tensors by name, gathered by one kernel for each dtype.

    A loss keeps no graph alive by it. Integers and what else has no NaN are turned into float64 before, by
    a kernel each.

    Raises:
        TypeError: a tensor is complex.
    """
    values = [each.detach() if each.requires_grad else each for each in tensors.values()]
    common = values[0].dtype if values else None
    if common in MARKERS and all(each.dtype is common and not each.ndim for each in values):
        return [(tuple(tensors), torch.stack(values))]
    groups: dict[torch.dtype, dict[str, Tensor]] = {}
    for name, value in zip(tensors, values, strict=True):
        scalar = value.reshape(()) if value.ndim else value
        if scalar.dtype not in MARKERS:
            scalar = _as_float64(scalar)
        groups.setdefault(scalar.dtype, {})[name] = scalar
    return [(tuple(group), torch.stack(list(group.values()))) for group in groups.values()]


def _copyable(bundle: Bundle) -> _Named:
    """Return a bundle whose tensor can be copied as it is.

    Raises:
        TypeError, ValueError: it cannot be.
    """
    tensor = bundle.tensor.detach()
    if tensor.shape != (len(bundle.names),) or not bundle.names:
        raise ValueError(f"{len(bundle.names)} names for a tensor of shape {tuple(tensor.shape)}")
    if tensor.dtype not in MARKERS:
        tensor = _as_float64(tensor)
    return bundle.names, tensor.contiguous()


def _as_float64(value: Tensor) -> Tensor:
    if value.is_complex():
        raise TypeError(f"a {value.dtype}: pass its absolute value, or its real part")
    return value.to(torch.float64)
