"""Arguments that may be None, one object or several."""

from __future__ import annotations

from typing import Any


def as_list(value: Any) -> list[Any]:
    """Return None as an empty list, a list or tuple as a list, and anything else as a list of it."""
    if value is None:
        return []
    return list(value) if isinstance(value, list | tuple) else [value]
