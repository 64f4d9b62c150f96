"""Puts the parameters of a model into a bounded number of layers, by their names alone.

The names of modules form a tree. It is cut at the deepest level at which no more than the bound are left, so
that a small model shows its attention and its feed-forward parts, a larger one its blocks, and one of a
thousand blocks runs of neighbours, `layers.0-10`. Every parameter is in exactly one layer, and the same names
give the same layers.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from typing import Final

_WRAPPERS: Final = frozenset(("_orig_mod", "_fsdp_wrapped_module", "_checkpoint_wrapped_module"))
"""Parts of a name that `torch.compile`, FSDP and activation checkpointing put in."""

_NUMBER: Final = re.compile(r"[0-9]+")

Path = tuple[str, ...]


def layers_of(names: Sequence[str], most: int) -> dict[str, str]:
    """Return the layer of each parameter name, of `most` layers at most.

    >>> sorted(
    ...     set(layers_of(["wte.weight", "h.0.attn.weight", "h.0.mlp.weight", "h.0.mlp.bias"], 3).values())
    ... )
    ['h.0.attn', 'h.0.mlp', 'wte']
    >>> sorted(set(layers_of(["wte.weight", *(f"h.{i}.weight" for i in range(10))], 4).values()))
    ['h.0-3', 'h.4-7', 'h.8-9', 'wte']
    """
    modules = {name: _module(name) for name in names}
    paths = list(dict.fromkeys(modules.values()))
    labels = _cut(paths, most)
    return {name: labels[modules[name]] for name in names}


def plain_name(name: str) -> str:
    """Return a parameter's name without what wrappers of the model add to it.

    >>> plain_name("module._orig_mod.layers.0._checkpoint_wrapped_module.weight")
    'layers.0.weight'
    """
    parts = [part for part in name.split(".") if part not in _WRAPPERS]
    return ".".join(parts[1:] if parts[0] == "module" and len(parts) > 1 else parts)


def _module(name: str) -> Path:
    """The path of the module that has a parameter; one of the model itself counts as a module."""
    parts = tuple(name.split("."))
    return parts[:-1] or parts


def _cut(paths: Sequence[Path], most: int) -> dict[Path, str]:
    """Name the layers at the deepest level that is within the bound, or runs of those of the next."""
    depth = max(map(len, paths), default=0)
    while depth > 0 and len({path[:depth] for path in paths}) > most:
        depth -= 1
    numbered = _numbered(paths, depth, most)
    if numbered is not None:
        return numbered
    return {path: ".".join(path[:depth]) for path in paths} if depth else _neighbours(paths, most)


def _numbered(paths: Sequence[Path], depth: int, most: int) -> dict[Path, str] | None:
    """Join neighbours among the numbered modules below a level; None: there are none, or too many parents."""
    cut = list(dict.fromkeys(path[: depth + 1] for path in paths))
    numbers = [number for path in cut if (number := _number(path, depth)) >= 0]
    if not numbers or len({_run(path, depth, max(numbers) + 1) for path in cut}) > most:
        return None
    width = max(2, len(numbers) // most)
    while len({_run(path, depth, width) for path in cut}) > most:
        width += 1 + width // 16
    runs: dict[tuple[Path, int | None], list[int]] = {}
    for path in cut:
        runs.setdefault(_run(path, depth, width), []).append(_number(path, depth))
    return {path: _label(path, depth, runs[_run(path[: depth + 1], depth, width)]) for path in paths}


def _run(path: Path, depth: int, width: int) -> tuple[Path, int | None]:
    """What all modules of a run have in common; a module without a number is a run by itself."""
    number = _number(path, depth)
    return (path, None) if number < 0 else (path[:depth], number // width)


def _number(path: Path, depth: int) -> int:
    is_numbered = len(path) > depth and _NUMBER.fullmatch(path[depth])
    return int(path[depth]) if is_numbered else -1


def _label(path: Path, depth: int, numbers: Iterable[int]) -> str:
    low, high = min(numbers), max(numbers)
    if low == high:
        return ".".join(path[: depth + 1])
    return ".".join((*path[:depth], f"{low}-{high}"))


def _neighbours(paths: Sequence[Path], most: int) -> dict[Path, str]:
    """Where names say nothing of order: runs of neighbours of equal length, by the names of their ends."""
    tops = list(dict.fromkeys(path[0] for path in paths))
    width = max(1, -(-len(tops) // most))
    labels: dict[str, str] = {}
    for start in range(0, len(tops), width):
        run = tops[start : start + width]
        labels |= dict.fromkeys(run, run[0] if len(run) == 1 else f"{run[0]}..{run[-1]}")
    return {path: labels[path[0]] for path in paths}
