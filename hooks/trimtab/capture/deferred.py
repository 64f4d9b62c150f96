"""Reads values that are still being computed on an accelerator, without waiting for it.

A step's row may hold tensors whose values the device will know only later. They are copied to the host
beside the work that goes on, and the row comes out once its copies have arrived, a step or more later. Rows
come out in the order in which they went in, so a row of plain numbers waits behind one that is under way.
"""

from __future__ import annotations

import logging
import time
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final, Protocol

from trimtab.capture import scalars
from trimtab.capture.bundle import Bundle
from trimtab.vocabulary import NOT_MEASURED

if TYPE_CHECKING:
    import torch
    from torch import Tensor

LOG = logging.getLogger("trimtab")

CAPACITY: Final = 1024
"""Rows under way at most. A host can be ahead of its device by about as many kernels, so by no more steps."""
_POLL_S: Final = 0.001


@dataclass(slots=True, eq=False)
class RowValues:
    """One step's values by metric name: numbers or one-element tensors going in, floats coming out."""

    step: int
    time: float
    attempt: int
    values: dict[str, Any]
    bundles: list[Bundle] = field(default_factory=list)


class Transfer(Protocol):
    """A copy under way."""

    def done(self) -> bool:
        """Tell whether it has arrived; never waits."""

    def values(self) -> list[float]:
        """Return the values, in the order of the tensors; to be called once, when it is done."""


class Copier(Protocol):
    """Copies scalars of one device to the host."""

    def start(self, tensors: Sequence[Tensor]) -> Transfer:
        """Begin to copy the values that the tensors have after the work queued so far; never waits."""


class DeferredReader:
    """Turns rows with tensors into rows of floats, in order, without waiting; one thread at a time.

    At most `capacity` rows are under way. A row beyond that is dropped and counted in `dropped`: the older
    ones arrive first, and waiting for them would stall the job. A value that is not one number is left out
    of its row and told once by its name.
    """

    def __init__(
        self, copier_for: Callable[[torch.device], Copier] | None = None, capacity: int = CAPACITY
    ) -> None:
        self._copier_for = copier_for or _copier_for
        self._copiers: dict[torch.device, Copier] = {}
        self._capacity = capacity
        self._rows: deque[tuple[RowValues, list[_Part]]] = deque()
        self._told: set[str] = set()
        self.dropped = 0

    def __len__(self) -> int:
        return len(self._rows)

    def submit(self, row: RowValues) -> None:
        """Take in a row; its `values` are turned into floats in place."""
        if len(self._rows) >= self._capacity:
            self.dropped += 1
            return
        parts: list[_Part] = []
        unread = [name for name, value in row.values.items() if type(value) is not float]
        if unread:
            parts = self._start(row.values, unread)
        self._rows.append((row, parts))

    def ready(self) -> Iterator[RowValues]:
        """Yield the rows that are complete, oldest first, up to the first that is not."""
        while self._rows and all(part.transfer.done() for part in self._rows[0][1]):
            row, parts = self._rows.popleft()
            for part in parts:
                row.values.update(self._arrived(part))
            yield row

    def finish(self, timeout_s: float) -> Iterator[RowValues]:
        """Yield what is still under way, within `timeout_s` seconds; what is late is dropped and counted."""
        deadline = time.monotonic() + timeout_s
        while self._rows:
            yield from self.ready()
            if self._rows and time.monotonic() >= deadline:
                self.dropped += len(self._rows)
                self._rows.clear()
            elif self._rows:
                time.sleep(_POLL_S)

    def _start(self, values: dict[str, Any], unread: list[str]) -> list[_Part]:
        """Read what the host has, and begin to copy the rest: one copy a device."""
        on_device: dict[torch.device, dict[str, Tensor]] = {}
        for name in unread:
            value = values[name]
            if scalars.is_on_device(value):
                on_device.setdefault(value.device, {})[name] = value
                values[name] = NOT_MEASURED  # keeps its place, and lets go of the graph behind the tensor
            elif value is None or (number := self._number(name, value)) is None:
                del values[name]
            else:
                values[name] = number
        return [part for at, held in on_device.items() for part in self._copy(at, held)]

    def _copy(self, device: torch.device, held: dict[str, Tensor]) -> list[_Part]:
        """Begin one copy of all; where that fails, one of each, so that only what is at fault is left out."""
        try:
            return [_Part(list(held), self._copier(device).start(list(held.values())))]
        except Exception as error:  # noqa: BLE001  (whatever a tensor raises costs its own value, not the row)
            if len(held) == 1:
                self._tell(next(iter(held)), error)
                return []
        return [part for name, tensor in held.items() for part in self._copy(device, {name: tensor})]

    def _arrived(self, part: _Part) -> dict[str, float]:
        try:
            return dict(zip(part.names, part.transfer.values(), strict=True))
        except Exception as error:  # noqa: BLE001  (as above: the rest of the row is written)
            for name in part.names:
                self._tell(name, error)
            return {}

    def _copier(self, device: torch.device) -> Copier:
        if device not in self._copiers:
            self._copiers[device] = self._copier_for(device)
        return self._copiers[device]

    def _number(self, name: str, value: Any) -> float | None:
        try:
            return scalars.as_float(value)
        except scalars.NotANumberError as error:
            self._tell(name, error)
            return None

    def _tell(self, name: str, error: Exception) -> None:
        if name not in self._told:
            self._told.add(name)
            LOG.warning("trimtab: %s is left out: %s", name, error)


@dataclass(frozen=True, slots=True)
class _Part:
    names: list[str]
    transfer: Transfer


def _copier_for(device: torch.device) -> Copier:
    return CudaCopier(device) if device.type == "cuda" else LateCopier()


class CudaCopier:
    """Copies to pinned memory on a stream of its own; an event tells when it is done (CUDA and ROCm)."""

    def __init__(self, device: torch.device) -> None:
        import torch

        self._device = device
        self._stream: torch.cuda.Stream = torch.cuda.Stream(device)  # type: ignore[no-untyped-call]
        self._free: dict[int, list[Tensor]] = {}

    def start(self, tensors: Sequence[Tensor]) -> Transfer:
        """Begin the copy; one small kernel on the job's stream gathers the values as they are then."""
        import torch

        with torch.cuda.device(self._device):
            gathered = torch.stack([tensor.detach().reshape(()).to(torch.float64) for tensor in tensors])
            self._stream.wait_stream(torch.cuda.current_stream())
            slot = self._slot(len(tensors))
            event: torch.cuda.Event = torch.cuda.Event()  # type: ignore[no-untyped-call]
            with torch.cuda.stream(self._stream):
                slot.copy_(gathered, non_blocking=True)
                event.record()
            gathered.record_stream(self._stream)  # its memory is not given away before the copy has read it
        return _CudaTransfer(event, slot, self._free[len(tensors)])

    def _slot(self, size: int) -> Tensor:
        """Return pinned memory that no copy is using: allocating it anew may stall the device."""
        import torch

        free = self._free.setdefault(size, [])
        return free.pop() if free else torch.empty(size, dtype=torch.float64, pin_memory=True)


@dataclass(frozen=True, slots=True)
class _CudaTransfer:
    event: torch.cuda.Event
    slot: Tensor
    free: list[Tensor]

    def done(self) -> bool:
        return bool(self.event.query())  # type: ignore[no-untyped-call]

    def values(self) -> list[float]:
        read: list[float] = self.slot.tolist()
        self.free.append(self.slot)
        return read


class LateCopier:
    """For devices without pinned copies (MPS and others): keeps the value and reads it a step later.

    That read waits for the device; it is the one place where a step can.
    """

    def start(self, tensors: Sequence[Tensor]) -> Transfer:
        """Keep the values as they are at this point."""
        return _LateTransfer([tensor.detach().clone() for tensor in tensors])


@dataclass(slots=True)
class _LateTransfer:
    held: list[Tensor]
    asked: int = 0

    def done(self) -> bool:
        self.asked += 1
        return self.asked > 1

    def values(self) -> list[float]:
        return [_late(tensor) for tensor in self.held]


def _late(tensor: Tensor) -> float:
    try:
        return scalars.as_float(tensor)
    except scalars.NotANumberError as error:
        LOG.debug("trimtab: a value on %s cannot be read: %s", tensor.device, error)
        return NOT_MEASURED
