"""Copies of nested state in host memory, into buffers that are used again.

The state of a model, an optimizer or a scheduler is a tree of dicts, lists and tuples with tensors and plain
values as leaves. `to_host` copies such a tree; given the tree of a snapshot that is no longer needed it fills
its buffers rather than allocating new ones.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Iterator
from typing import Any, cast

import torch
from torch import Tensor

Tree = Any
"""Dicts, lists and tuples, nested, with tensors and plain values as leaves."""


def to_host(tree: Tree, spare: Tree = None) -> Tree:
    """Copy a tree to host memory; the result shares nothing with it.

    `spare` is an earlier result that is no longer needed: its buffers are filled where shape and type agree.
    Tensors of a CUDA device go to pinned memory. The copy waits for the device.
    """
    return _rebuild(tree, spare, _copy_tensor)


def thaw(tree: Tree) -> Tree:
    """Return a tree that may be handed to `load_state_dict`, which keeps what it is given.

    Tensors in pinned memory came from a device and go back to one, which copies them anyway: they are not
    cloned.
    """
    return _rebuild(tree, None, lambda tensor, _: tensor if tensor.is_pinned() else tensor.clone())


def tensors(tree: Tree) -> Iterator[Tensor]:
    """Yield the tensors of a tree."""
    if isinstance(tree, Tensor):
        yield tree
    elif isinstance(tree, dict):
        for value in tree.values():
            yield from tensors(value)
    elif isinstance(tree, list | tuple):
        for value in tree:
            yield from tensors(value)


def size_bytes(tree: Tree) -> int:
    """Return the bytes that the tensors of a tree take."""
    return sum(tensor.numel() * tensor.element_size() for tensor in tensors(tree))


def has_nan(tensor: Tensor) -> bool:
    """Tell whether a tensor holds a NaN; one pass, nothing allocated, where the type allows it."""
    return any(bool(torch.isnan(edge)) for edge in _extremes(tensor))


def all_finite(tensor: Tensor) -> bool:
    """Tell whether every value is finite; `aminmax` lets a NaN through for a fifteenth of `isfinite`."""
    return all(bool(torch.isfinite(edge)) for edge in _extremes(tensor))


def _extremes(tensor: Tensor) -> tuple[Tensor, ...]:
    if tensor.numel() == 0:
        return ()
    if tensor.is_complex():
        tensor = torch.view_as_real(tensor.resolve_conj())
    if not tensor.is_floating_point():
        return ()
    if tensor.element_size() < 2:  # the 8-bit floats have no minimum of their own
        tensor = tensor.float()
    return tuple(tensor.aminmax())


def _rebuild(value: Tree, spare: Tree, leaf: Callable[[Tensor, Tree], Tensor]) -> Tree:
    if isinstance(value, Tensor):
        return leaf(value, spare)
    if isinstance(value, dict):
        old = spare if isinstance(spare, dict) else {}
        return {key: _rebuild(item, old.get(key), leaf) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return _rebuild_sequence(value, spare, leaf)
    return copy.deepcopy(value)


def _rebuild_sequence(
    value: list[Tree] | tuple[Tree, ...], spare: Tree, leaf: Callable[[Tensor, Tree], Tensor]
) -> Tree:
    old = spare if isinstance(spare, list | tuple) and len(spare) == len(value) else [None] * len(value)
    items = [_rebuild(item, used, leaf) for item, used in zip(value, old, strict=True)]
    if isinstance(value, list):
        return items
    named = cast("Any", type(value))
    return named(*items) if hasattr(value, "_fields") else tuple(items)


def _copy_tensor(tensor: Tensor, spare: Tree) -> Tensor:
    source = tensor.detach()
    if source.layout is not torch.strided:
        return source.to("cpu", copy=True)
    target = (
        spare if _fits(spare, source) else torch.empty_like(source, device="cpu", pin_memory=source.is_cuda)
    )
    return target.copy_(source)


def _fits(spare: Tree, source: Tensor) -> bool:
    return isinstance(spare, Tensor) and spare.shape == source.shape and spare.dtype == source.dtype
