"""What a framework's callback gives to `trimtab.watch()`, in a form that it takes."""

from __future__ import annotations

import sys
from collections.abc import Mapping
from types import FrameType
from typing import Any, TypeVar

from trimtab.asked import MAX_NAME_CHARACTERS
from trimtab.plain_values import encodable

T = TypeVar("T")


def without_rollback(given: Mapping[str, Any], remedy: str) -> dict[str, Any]:
    """Return the arguments that a callback was given.

    Raises:
        ValueError: rollback="auto": a framework's loop counts its steps itself, and only forwards.
    """
    if given.get("rollback") == "auto":
        raise ValueError(
            "rollback: 'auto': the Trainer's loop cannot go back to an earlier step: use 'advise', and "
            f"restart it with {remedy}"
        )
    return dict(given)


def usable(thing: Any, *needed: str) -> Any:
    """Return what a framework holds if it has the methods needed; None for a placeholder.

    DeepSpeed's dummy scheduler has no `state_dict`, for one.
    """
    return thing if thing is not None and all(hasattr(thing, name) for name in needed) else None


def short_name(name: Any) -> str | None:
    """Return a run's name as the framework has it, cut where it is too long to be one; None without any.

    >>> short_name("first try"), short_name("")
    ('first try', None)
    """
    return encodable(str(name))[:MAX_NAME_CHARACTERS] if name else None


def calling(kind: type[T]) -> T | None:
    """Return the object of a kind whose method this call comes from: a callback is not handed it."""
    frame: FrameType | None = sys._getframe(1)
    while frame is not None:
        caller = frame.f_locals.get("self")
        if isinstance(caller, kind):
            return caller
        frame = frame.f_back
    return None
