"""A job's configuration as plain values that any encoding can hold."""

from __future__ import annotations

import dataclasses
import math
from collections.abc import Mapping
from typing import Any, Final

_DEEPEST: Final = 8


def plain(value: Any, depth: int = 0) -> Any:
    """Turn mappings, sequences, dataclasses and namespaces into dicts and lists; what is left over into text.

    >>> import argparse
    >>> plain(argparse.Namespace(lr=1e-3, betas=(0.9, 0.95), dtype=complex))
    {'lr': 0.001, 'betas': [0.9, 0.95], 'dtype': "<class 'complex'>"}
    """
    if value is None or isinstance(value, bool | str):
        return value
    if isinstance(value, int):
        return value if abs(value) < 2**63 else str(value)
    if isinstance(value, float):
        return value if math.isfinite(value) else str(value)
    if depth >= _DEEPEST:
        return repr(value)[:200]
    fields = _fields(value)
    if fields is not None:
        return {str(key): plain(item, depth + 1) for key, item in fields.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [plain(item, depth + 1) for item in value]
    return repr(value)[:200]


def _fields(value: Any) -> Mapping[Any, Any] | None:
    if isinstance(value, Mapping):
        return value
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
    if type(value).__name__ in ("Namespace", "SimpleNamespace"):
        return dict(vars(value))
    return None
