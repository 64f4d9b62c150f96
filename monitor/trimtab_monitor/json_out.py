"""JSON as the wire writes it: non-finite numbers are the words "NaN", "Infinity" and "-Infinity"."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import msgspec
from starlette.responses import Response


def to_json(value: object) -> bytes:
    """Encode builtins, dataclasses and structs."""
    return msgspec.json.encode(to_plain(value))


def to_plain(value: object) -> Any:
    """Turn a value into what JSON has, each non-finite number into its word."""
    return _worded(msgspec.to_builtins(value, str_keys=True))


def _worded(value: Any) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else word(value)
    if isinstance(value, Mapping):
        return {key: _worded(each) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return [_worded(each) for each in value]
    return value


def word(value: float) -> str:
    """The word for a number that is not finite."""
    if math.isnan(value):
        return "NaN"
    return "Infinity" if value > 0 else "-Infinity"


class JsonResponse(Response):
    """An answer in that JSON."""

    media_type = "application/json"

    def render(self, content: Any) -> bytes:
        """Encode the content."""
        return to_json(content)
