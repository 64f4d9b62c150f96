"""What a run used, as factors are applied to it: energy by the hour, and hours of devices."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any


@dataclass(frozen=True, slots=True)
class Usage:
    """IT energy in joules (None: not known), of which by the hour (start in Unix seconds), and GPU hours."""

    joules: float | None
    by_hour: Mapping[int, float] = field(default_factory=dict)
    gpu_hours: float | None = None

    @classmethod
    def told(cls, told: Mapping[str, Any]) -> Usage:
        """What a body of the ledger tells of energy or lost work."""
        by_hour = {int(each["time"]): float(each["joules"]) for each in told.get("by_hour", ())}
        return cls(told["joules"], by_hour, told.get("gpu_hours"))
