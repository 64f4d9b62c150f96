"""Sums of squares of gradients: what a norm is the root of, in as few passes as their device needs.

In host memory one dot product a tensor, in parts of 2^20 elements that are added in double precision: torch's
own norm of a tensor adds all squares in single precision (0.4 % off at 50 million), and takes 10 times as
long for 16-bit ones, which are made wider a part at a time here. Small tensors of one shape are laid together
first. On a device one `torch._foreach_norm` of all, nothing read back.

A norm beyond 1.8e19 is infinite: its square is, in single precision.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from torch import Tensor

SUM_ELEMENTS: Final = 2**20
"""Elements whose squares are added in single precision: 1e-6 off at most, and few enough calls."""

RUN_ELEMENTS: Final = 2**18
"""Elements of small tensors that are laid together."""

SMALL_ELEMENTS: Final = 4096
"""Below it, copying a gradient costs less than a call of its own."""


def square_on_host(gradient: Tensor) -> float:
    """Return the sum of the squares of one gradient in host memory."""
    import torch

    flat = dense(gradient).reshape(-1)
    if flat.numel() <= SUM_ELEMENTS:
        return _dot(flat)
    return sum([_dot(part) for part in torch.split(flat, SUM_ELEMENTS)])


def square_of_run(gradients: Sequence[Tensor]) -> float:
    """Return the sum of the squares of several small gradients of one shape, in host memory.

    Raises:
        RuntimeError: they cannot be laid together, as where one is sparse.
    """
    import torch

    return _dot(torch.cat(list(gradients)).reshape(-1))


def squares_of_run(gradients: Sequence[Tensor]) -> list[float]:
    """Return the same of each gradient by itself."""
    import torch

    rows = _wide(torch.cat(list(gradients)).reshape(len(gradients), -1))
    squares: list[float] = (rows * rows).sum(1).tolist()
    return squares


def norms_on_device(gradients: Sequence[Tensor]) -> Tensor:
    """Return the norms of gradients of one device, shape (n,); nothing waits.

    Only a sparse gradient of a CUDA device does, as its repeated rows have to be counted.
    """
    import torch

    # At least float32: the sum of squares of a 16-bit type overflows, and its norm has two digits.
    wide = any(gradient.dtype in (torch.float64, torch.complex128) for gradient in gradients)
    real = [dense(gradient) for gradient in gradients]
    return torch.stack(torch._foreach_norm(real, 2, dtype=torch.float64 if wide else torch.float32))


def dense(gradient: Tensor) -> Tensor:
    """Return the numbers whose squares count: those of a sparse gradient, both parts of a complex one."""
    import torch

    if gradient.is_sparse:
        gradient = gradient.coalesce().values()
    return torch.view_as_real(gradient) if gradient.is_complex() else gradient


def _dot(flat: Tensor) -> float:
    import torch

    flat = _wide(flat)
    return torch.dot(flat, flat).item()


def _wide(values: Tensor) -> Tensor:
    import torch

    return values if values.dtype in (torch.float32, torch.float64) else values.to(torch.float32)
