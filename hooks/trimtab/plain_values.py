"""A job's configuration as plain values that any encoding can hold."""

from __future__ import annotations

import dataclasses
import json
import math
from collections.abc import Mapping
from typing import Any, Final

MAX_BYTES: Final = 64 * 1024
"""How much of a configuration is kept, as JSON."""
CUT_KEY: Final = "trimtab_left_out"

_DEEPEST: Final = 8


def plain_config(config: Any) -> dict[str, Any]:
    """Return a job's configuration as a dict of at most `MAX_BYTES`, whatever it was given as.

    An object is its public attributes; what has no fields is kept under the key `config`. Values that do not
    fit are left out, and `CUT_KEY` says which.

    >>> plain_config(3)
    {'config': 3}
    """
    fields = _fields(config)
    if fields is None and not isinstance(config, type):
        fields = {key: item for key, item in getattr(config, "__dict__", {}).items() if key[:1] != "_"}
    found = plain(fields) if fields else {}
    return _bounded(found or ({} if isinstance(config, Mapping) else {"config": plain(config)}))


def _bounded(fields: dict[str, Any]) -> dict[str, Any]:
    kept: dict[str, Any] = {}
    cut: list[str] = []
    left = MAX_BYTES - 1024  # room to say what was left out
    for key, item in fields.items():
        size = len(json.dumps({key: item}).encode())
        if size <= left:
            kept[key] = item
            left -= size
        else:
            cut.append(key[:40])
    if cut:
        names = ", ".join(cut[:5]) + (", ..." if len(cut) > 5 else "")
        kept[CUT_KEY] = f"{len(cut)} values ({names}): a config is kept up to {MAX_BYTES} bytes"
    return kept


def plain(value: Any, depth: int = 0) -> Any:
    """Turn mappings, sequences, dataclasses and namespaces into dicts and lists; what is left over into text.

    >>> import argparse
    >>> plain(argparse.Namespace(lr=1e-3, betas=(0.9, 0.95), dtype=complex))
    {'lr': 0.001, 'betas': [0.9, 0.95], 'dtype': "<class 'complex'>"}
    """
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, str):
        return encodable(value)
    if isinstance(value, int):
        return value if abs(value) < 2**63 else str(value)
    if isinstance(value, float):
        return value if math.isfinite(value) else str(value)
    if depth >= _DEEPEST:
        return _shown(value)
    fields = _fields(value)
    if fields is not None:
        return {encodable(str(key)): plain(item, depth + 1) for key, item in fields.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [plain(item, depth + 1) for item in value]
    return _shown(value)


def encodable(text: str) -> str:
    """Return the text with a question mark for each character that UTF-8 has no bytes for."""
    return text.encode(errors="replace").decode()


def _shown(value: Any) -> str:
    return encodable(repr(value)[:200])


def _fields(value: Any) -> Mapping[Any, Any] | None:
    if isinstance(value, Mapping):
        return value
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
    if type(value).__name__ in ("Namespace", "SimpleNamespace"):
        return dict(vars(value))
    return None
