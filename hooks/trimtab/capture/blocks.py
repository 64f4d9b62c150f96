"""The blocks of a model, of which a bounded number is looked at."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, Final, TypeVar

from trimtab.capture.layers import layers_of, plain_name
from trimtab.capture.one_or_many import as_list

if TYPE_CHECKING:
    from torch.nn import Module

MOST_BLOCKS: Final = 16
"""Blocks looked at; of more, so many that lie evenly, the first and the last among them."""

T = TypeVar("T")


def blocks_of(models: Any) -> list[tuple[str, Module]]:
    """Return the blocks of one or several models by name, at most `MOST_BLOCKS`.

    They are the members of the outermost `ModuleList`s, as the layers of a transformer are; of a model that
    has none, its direct parts.
    """
    return spread(
        [
            (prefix + name, block)
            for prefix, model in unwrapped_models(models)
            for name, block in _blocks(model)
        ]
    )


def spread(items: Sequence[T], most: int = MOST_BLOCKS) -> list[T]:
    """Return at most `most` of the items, evenly spread.

    >>> spread(range(10), 4)
    [0, 3, 6, 9]
    """
    if len(items) <= most:
        return list(items)
    return [items[round(i * (len(items) - 1) / (most - 1))] for i in range(most)]


def unwrapped_models(models: Any) -> list[tuple[str, Any]]:
    """Return each model and what its names begin with: nothing, or its number where there are several."""
    given = as_list(models)
    return [(f"{i}." if len(given) > 1 else "", _unwrapped(model)) for i, model in enumerate(given)]


def _unwrapped(model: Any) -> Any:
    """Return the model that is in DistributedDataParallel, DataParallel or FullyShardedDataParallel."""
    while hasattr(model, "module") and type(model).__name__.endswith("Parallel"):
        model = model.module
    return model


def parameter_layers(models: Any, most: int) -> dict[int, str]:
    """Return the name of its layer for each parameter, by the parameter's `id`; at most `most` layers."""
    names = {
        id(parameter): prefix + plain_name(name)
        for prefix, model in unwrapped_models(models)
        for name, parameter in model.named_parameters()
    }
    layers = layers_of(list(dict.fromkeys(names.values())), most)
    return {key: layers[name] for key, name in names.items()}


def _blocks(model: Module) -> list[tuple[str, Module]]:
    found = list(_listed(model, ""))
    if found:
        return found
    parts = list(model.named_children())
    while len(parts) == 1 and list(parts[0][1].children()):
        outer, inner = parts[0]
        parts = [(f"{outer}.{name}", part) for name, part in inner.named_children()]
    return [(plain_name(name), part) for name, part in parts]


def _listed(module: Module, prefix: str) -> Iterator[tuple[str, Module]]:
    """The members of the lists in a module that are in no other list."""
    import torch

    for name, child in module.named_children():
        if isinstance(child, torch.nn.ModuleList):
            for index, member in child.named_children():
                yield plain_name(f"{prefix}{name}.{index}"), member
        else:
            yield from _listed(child, f"{prefix}{name}.")
