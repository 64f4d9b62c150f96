"""What a framework's callback gives to `trimtab.watch()`, in a form that it takes."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from trimtab.asked import MAX_NAME_CHARACTERS
from trimtab.plain_values import encodable


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


def reason_of(error: BaseException) -> str:
    """Return why a training ended with an error, as a run's end has it.

    >>> reason_of(RuntimeError("out of memory")), reason_of(KeyboardInterrupt())
    ('RuntimeError: out of memory', 'KeyboardInterrupt')
    """
    name = type(error).__name__
    return f"{name}: {error}"[:300] if str(error) else name
