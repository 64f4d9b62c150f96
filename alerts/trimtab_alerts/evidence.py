"""An incident's evidence in words, a short text for each part: for people, who read no JSON."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, Final

KEYS: Final = 64
CHARS: Final = 1000
_LISTED: Final = 8
_TIMES: Final = frozenset({"time", "heard"})
"""Unix seconds say nothing to people, and the alert tells its own times."""


def in_words(evidence: Mapping[str, Any]) -> dict[str, str]:
    """The parts of the evidence that say something, each as text of at most `CHARS` characters."""
    parts = [part for part in evidence.items() if part[0] not in _TIMES][:KEYS]
    return {key: told for key, value in parts if (told := _told(value)[:CHARS])}


def _told(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, float):
        return _number(value)
    if isinstance(value, Mapping):
        return _finding(value) if "metric" in value and "expected" in value else _pairs(value)
    if isinstance(value, Sequence) and not isinstance(value, str | bytes):
        return _listed(value)
    return str(value)


def _number(value: float) -> str:
    if math.isnan(value):
        return "not a number"
    if math.isinf(value):
        return "infinite" if value > 0 else "minus infinite"
    return f"{value:.6g}"


def _listed(values: Sequence[object]) -> str:
    apart = "; " if any(isinstance(value, Mapping) for value in values) else ", "
    more = [f"and {len(values) - _LISTED} more"] if len(values) > _LISTED else []
    return apart.join([*map(_told, values[:_LISTED]), *more])


def _finding(finding: Mapping[str, Any]) -> str:
    """What one detector saw: `loss was 11.2 at step 42, expected 2.9`."""
    told = f"{finding['metric']} was {_told(finding.get('value'))} at step {finding.get('step')}"
    expected = finding["expected"]
    if isinstance(expected, int | float) and math.isfinite(expected):
        told += f", expected {_told(expected)}"
    return told + (f", on rank {finding['rank']}" if finding.get("rank") else "")


def _pairs(values: Mapping[str, object]) -> str:
    said = {str(name).replace("_", " "): _told(value) for name, value in values.items() if name not in _TIMES}
    return ", ".join(f"{name} {told}" for name, told in said.items() if told)
