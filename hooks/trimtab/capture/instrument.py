"""What an optional signal is: an instrument that measures one step in every so many."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Final, Protocol

from trimtab.capture.bundle import Bundle
from trimtab.capture.recording import is_recorded

if TYPE_CHECKING:
    from torch import Tensor

FAULTS: Final = (RuntimeError, TypeError, ValueError, AttributeError, LookupError)
"""Whatever torch, or the model's own code, cannot do: out of memory and "not implemented" are among them."""


class Instrument(Protocol):
    """Measures some steps of the optimizer: on their device, without waiting for it.

    What it raises of `FAULTS` costs this instrument only: it is closed, and never called again.
    """

    def arm(self) -> None:
        """The step that begins now is to be measured; several forward passes may belong to it."""

    def before(self) -> None:
        """The optimizer is about to change the parameters, in a step that is to be measured."""

    def after(self) -> list[Bundle]:
        """The optimizer has done it: return what was measured, and measure nothing until armed again."""

    def close(self) -> None:
        """Let model and optimizer go."""


def in_the_open() -> bool:
    """Tell whether code runs as it is written: nothing traces, captures or intercepts it just now.

    While `torch.compile` traces, what a hook does would become part of the compiled code; while a CUDA graph
    is captured, of the graph. A dispatch mode (selective checkpointing, fake tensors, a count of operations)
    takes every operation for the model's own.
    """
    import torch

    return not is_recorded() and torch._C._len_torch_dispatch_stack() == 0


def is_compiled(model: Any) -> bool:
    """Tell whether `torch.compile` has taken hold of a model, or of a part of it: no hooks run in there."""
    return hasattr(model, "_orig_mod") or any(
        hasattr(each, "_orig_mod") or getattr(each, "_compiled_call_impl", None) is not None
        for each in model.modules()
    )


def together(values: Mapping[str, Tensor]) -> list[Bundle]:
    """Put scalars by name into one bundle for each device that they are on, as float32."""
    import torch

    by_device: dict[torch.device, list[str]] = {}
    for name, value in values.items():
        by_device.setdefault(value.device, []).append(name)
    return [
        Bundle(tuple(names), torch.stack([values[name].detach().float() for name in names]))
        for names in by_device.values()
    ]
