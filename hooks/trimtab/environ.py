"""Reads single values of the environment; what cannot be read is told by the variable's name."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

_YES: Final = ("1", "true", "yes", "on")
_NO: Final = ("", "0", "false", "no", "off")


def flag(environ: Mapping[str, str], name: str) -> bool:
    """Return whether a variable says yes; one that is not set says no.

    Raises:
        ValueError: it says neither yes nor no.
    """
    text = environ.get(name, "").strip().lower()
    if text not in _YES + _NO:
        raise ValueError(f"{name}: {environ[name]!r}: give 1 for yes or 0 for no")
    return text in _YES


def integer(environ: Mapping[str, str], name: str) -> int | None:
    """Return a variable's integer, None where it is not set or empty.

    Raises:
        ValueError: it is no integer.
    """
    text = environ.get(name, "")
    if not text:
        return None
    try:
        return int(text)
    except ValueError:
        raise ValueError(f"{name}: {text!r}: give an integer") from None
