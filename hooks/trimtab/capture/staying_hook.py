"""A hook of a module that stays behind where the module is copied or pickled."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

Hook = Callable[..., None]


class StayingHook:
    """Calls a function for the module that it was put in; what a copy of the module gets does nothing.

    A function within another cannot be pickled: the loop's own `torch.save(model)` would raise. And a copy,
    as for averaged weights, would be taken for the model, from then on.
    """

    __slots__ = ("_call",)

    def __init__(self, call: Hook) -> None:
        self._call = call

    def __call__(self, *given: Any) -> None:
        """Do what the hook is for."""
        self._call(*given)

    def __deepcopy__(self, _memo: object) -> Hook:
        return nothing

    def __reduce__(self) -> tuple[Callable[[], Hook], tuple[()]]:
        return _left_behind, ()


def nothing(*_: Any) -> None:
    """Do nothing, as the hook of a copy."""


def _left_behind() -> Hook:
    return nothing
