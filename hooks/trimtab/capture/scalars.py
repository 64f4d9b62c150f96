"""Turns what a training loop calls a number into a float, where that needs no waiting."""

from __future__ import annotations

import sys
from typing import Any, TypeGuard


class NotANumberError(TypeError):
    """A value that no single number can be read from."""


def as_float(value: Any) -> float:
    """Read a number, a numpy scalar or a one-element tensor in host memory.

    Raises:
        NotANumberError: it is none; the message says what to pass instead.
    """
    try:
        return _read(value)
    except NotANumberError:
        raise
    except Exception as error:  # a value runs its own code: whatever that raises costs this value only
        raise NotANumberError(
            f"a {_described(value)}: pass one number, such as its mean ({type(error).__name__}: {error})"
        ) from error


def _read(value: Any) -> float:
    if hasattr(value, "full_tensor"):
        raise NotANumberError("a DTensor holds a share of the value: pass value.full_tensor()")
    if isinstance(value, str | bytes) or not (hasattr(value, "__float__") or hasattr(value, "__index__")):
        raise NotANumberError(f"a {type(value).__name__}: pass a number or a one-element tensor")
    if hasattr(value, "detach"):
        value = value.detach()
    return float(value.item() if getattr(value, "ndim", 0) else value)


def is_on_device(value: Any) -> TypeGuard[Any]:
    """Tell whether a value is a one-element tensor whose reading would wait for an accelerator."""
    torch = sys.modules.get("torch")
    if torch is None or not isinstance(value, torch.Tensor) or value.is_cpu:
        return False
    return value.numel() == 1 and not hasattr(value, "full_tensor")


def _described(value: Any) -> str:
    shape = getattr(value, "shape", None)
    return type(value).__name__ + (f" of shape {tuple(shape)}" if shape else "")
