"""A double of an accelerator, for testing without one that nothing waits for it.

`pretended` tensors are on a device (torch's `meta`), have values (in host memory), and can be trained with.
Whatever would let the host wait for a device, such as `.item()`, works, and is counted.
"""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any, Final

import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode, return_and_correct_aliasing
from torch.utils._pytree import tree_map

from trimtab.capture import copies
from trimtab.capture.cuda_copies import CudaCopier, Mark

DEVICE: Final = torch.device("meta")

_WAITING: Final = frozenset(
    {
        "aten::_local_scalar_dense",  # item(), float(), int(), bool(), if
        "aten::allclose",
        "aten::equal",
        "aten::nonzero",
        "aten::masked_select",
        "aten::_unique2",
        "aten::unique_dim",
        "aten::is_nonzero",
    }
)


@dataclass(slots=True)
class Log:
    """What was done with pretended tensors, in order.

    `ops` has the names of operations, `waits` those that wait for a device, with the thread that does.
    """

    ops: list[str] = field(default_factory=list)
    waits: list[str] = field(default_factory=list)

    def clear(self) -> None:
        """Forget what was done."""
        self.ops.clear()
        self.waits.clear()


LOG: Final = Log()


class Pretended(torch.Tensor):
    """A tensor that says it is on a device."""

    held: Tensor

    @staticmethod
    def __new__(cls, held: Tensor) -> Pretended:
        """Wrap a tensor of the host."""
        made: Pretended = torch.Tensor._make_wrapper_subclass(
            cls,
            held.size(),
            strides=held.stride(),
            storage_offset=held.storage_offset(),
            dtype=held.dtype,
            layout=held.layout,
            device=DEVICE,
            requires_grad=held.requires_grad,
        )
        made.held = held.detach()
        return made

    @classmethod
    def __torch_dispatch__(  # type: ignore[override]
        cls, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        """Do it in host memory, and say so."""
        kwargs = dict(kwargs or {})
        to_host = _note(func, args, kwargs)
        if "device" in kwargs:
            kwargs["device"] = torch.device("cpu")
        done = func(*tree_map(_held, args), **tree_map(_held, kwargs))
        if to_host:
            return done
        wrapped = tree_map(_pretend, done)
        return return_and_correct_aliasing(func, args, kwargs, wrapped)  # type: ignore[no-untyped-call]


class _Arrivals(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Makes pretended tensors of what is made on the device, or moved there from the host."""

    def __torch_dispatch__(
        self, func: Any, types: Any, args: tuple[Any, ...] = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        kwargs = dict(kwargs or {})
        target = kwargs.get("device")
        if target is None or torch.device(target) != DEVICE or any(kind is Pretended for kind in types):
            return func(*args, **kwargs)
        LOG.ops.append(func._schema.name)
        if func._schema.name == "aten::_to_copy" and not kwargs.get("non_blocking"):
            LOG.waits.append(_named(func._schema.name))
        return Pretended(func(*args, **(kwargs | {"device": torch.device("cpu")})))


def pretended(tensor: Tensor) -> Tensor:
    """Return a tensor with these values on the pretended device."""
    return Pretended(tensor)


def pretend_module(module: torch.nn.Module) -> torch.nn.Module:
    """Move the parameters of a module to the pretended device."""
    for owner in module.modules():
        for name, parameter in list(owner.named_parameters(recurse=False)):
            moved = torch.nn.Parameter(pretended(parameter.detach()), parameter.requires_grad)
            setattr(owner, name, moved)
    return module


class PretendedMark:
    """A point in the work of the pretended device."""

    def __init__(self) -> None:
        self.recorded = 0

    def record(self, stream: Any = None) -> None:
        """Be moved to where the device's work has come."""
        del stream
        self.recorded += 1


class PretendedRuntime:
    """Stands in for CUDA's side of a copy.

    Copies arrive at once, or, where `at_once` is False, when `arrive` is called, in the order in which they
    began. `capturing` says that the calling thread captures a graph. `slabs` counts memory that was made,
    `marks` are those that were.
    """

    def __init__(self, at_once: bool = True) -> None:
        self.at_once = at_once
        self.capturing = False
        self.slabs = 0
        self.marks: list[PretendedMark] = []
        self.copies: list[tuple[Tensor, Tensor]] = []

    def is_capturing(self) -> bool:
        """Tell whether a graph is captured."""
        return self.capturing

    def mark(self, again: Mark | None) -> Mark:
        """Mark the point that the work has come to."""
        mark = PretendedMark() if again is None else again
        if again is None:
            self.marks.append(mark)  # type: ignore[arg-type]
        mark.record()
        return mark

    def host_memory(self, rows: int, columns: int, dtype: torch.dtype) -> Tensor:
        """Return memory of the host."""
        assert not self.capturing, "memory is made during a capture"
        self.slabs += 1
        return torch.empty((rows, columns), dtype=dtype, device="cpu")

    def copy(self, into: Tensor, source: Tensor, after: Mark) -> None:
        """Begin a copy."""
        assert isinstance(after, PretendedMark)
        assert after.recorded, "a copy waits for a point that was not marked"
        assert into.dtype == source.dtype, "a copy that has to convert allocates"
        assert into.shape == source.shape, "a copy that has to expand allocates"
        assert source.is_contiguous(), "a copy that has to gather allocates"
        self.copies.append((into, source))
        if self.at_once:
            self.arrive()

    def arrive(self, count: int = 1_000_000) -> None:
        """Let so many of the copies under way arrive."""
        for into, source in self.copies[:count]:
            into.copy_(source, non_blocking=True)
        del self.copies[:count]


@contextmanager
def pretending(runtime: PretendedRuntime) -> Iterator[Log]:
    """Copy values of the pretended device as those of CUDA are, for the length of a block.

    What this thread makes on the device meanwhile is pretended too.
    """
    LOG.clear()
    copies.register(DEVICE.type, lambda _: CudaCopier(runtime))
    try:
        with _Arrivals():  # type: ignore[no-untyped-call]
            yield LOG
    finally:
        copies.register(DEVICE.type, None)


def _note(func: Any, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> bool:
    """Note an operation; True: its result is in host memory."""
    name = func._schema.name
    LOG.ops.append(name)
    to_host = _goes_to_host(name, args, kwargs)
    blocking = not kwargs.get("non_blocking", args[2] if name == "aten::copy_" and len(args) > 2 else False)
    if name in _WAITING or (to_host and blocking):
        LOG.waits.append(_named(name))
    return to_host


def _named(operation: str) -> str:
    return f"{operation} in {threading.current_thread().name}"


def _goes_to_host(name: str, args: tuple[Any, ...], kwargs: Mapping[str, Any]) -> bool:
    if name == "aten::copy_":
        return not isinstance(args[0], Pretended)
    target = kwargs.get("device")
    return name == "aten::_to_copy" and target is not None and torch.device(target).type == "cpu"


def _held(value: Any) -> Any:
    return value.held if isinstance(value, Pretended) else value


def _pretend(value: Any) -> Any:
    return Pretended(value) if isinstance(value, Tensor) and not isinstance(value, Pretended) else value
