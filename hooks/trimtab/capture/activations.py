"""What the blocks of a model put out: how large, how heavy-tailed, and how large attention logits get.

Of each block, `activation_absmax/<block>` is the largest magnitude; `activation_rms/<block>` and
`activation_kurtosis/<block>` (the fourth moment over the squared variance, 3 for a normal distribution) are
of a sample of at most `MOST_SAMPLED` values, whole rows of the last dimension. `max_attention_logit/<block>`
and `max_attention_logit`, the largest of them, come from `attention_logits.py`.
"""

from __future__ import annotations

import math
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

import torch
from torch import Tensor
from torch.nn import Module

from trimtab.capture.attention_logits import AttentionTap
from trimtab.capture.bundle import Bundle
from trimtab.capture.forward_tap import ForwardTap, Sighted
from trimtab.capture.instrument import together

MOST_SAMPLED: Final = 2**18


class Activations:
    """Measures the outputs of blocks; nothing of them is kept but a few scalars."""

    def __init__(self, blocks: Sequence[tuple[str, Module]]) -> None:
        self._values: dict[str, Tensor] = {}
        self._outputs = ForwardTap(blocks, self._measure)
        self._attention = AttentionTap(blocks)
        self._sighted = Sighted("block")

    def arm(self) -> None:
        """Listen to the next forward pass."""
        self._values.clear()
        self._attention.arm()
        self._outputs.arm()

    def before(self) -> None:
        """Do nothing: all that is measured is there."""

    def after(self) -> list[Bundle]:
        """Return what the step's first forward pass showed."""
        self._sighted.note(self._outputs.settle())
        values = self._values | self._attention.settle()
        self._values = {}
        return together(values)

    def close(self) -> None:
        """Take all hooks out."""
        self._outputs.close()
        self._attention.close()

    def _measure(self, name: str, _module: Module, output: Any) -> None:
        tensor = first_tensor(output)
        if tensor is not None:
            for what, value in shape(tensor):
                self._values[f"activation_{what}/{name}"] = value


def first_tensor(output: Any) -> Tensor | None:
    """Return the first tensor of real numbers in what a module puts out: itself, or the first in a tuple."""
    if isinstance(output, Tensor):
        local = output.to_local() if hasattr(output, "to_local") else output
        usable = local.is_floating_point() and local.ndim > 0 and local.numel() and not local.is_nested
        return local.detach() if usable else None
    parts = output.values() if isinstance(output, Mapping) else output
    if not isinstance(output, Mapping | tuple | list):
        return None
    return next((found for part in parts if (found := first_tensor(part)) is not None), None)


def shape(tensor: Tensor) -> Iterator[tuple[str, Tensor]]:
    """Yield the largest magnitude, root mean square and kurtosis of a tensor, on its device."""
    lowest, highest = torch.aminmax(tensor)
    yield "absmax", torch.maximum(-lowest, highest)
    sample = sampled(tensor).float()
    yield "rms", torch.linalg.vector_norm(sample) / math.sqrt(sample.numel())
    squares = (sample - sample.mean()).square_()
    yield "kurtosis", squares.square().mean() / squares.mean().square()


def sampled(tensor: Tensor) -> Tensor:
    """Return evenly spread rows of the last dimension, at most `MOST_SAMPLED` values (or one row)."""
    rows = tensor.reshape(-1, tensor.shape[-1])
    most = max(1, MOST_SAMPLED // rows.shape[1])
    return rows[:: -(-rows.shape[0] // most)]
