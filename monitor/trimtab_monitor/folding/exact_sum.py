"""A sum of floats that comes out the same in whatever order they come."""

from __future__ import annotations

from dataclasses import dataclass, field
from math import fsum, isfinite


@dataclass(slots=True)
class ExactSum:
    """Keeps what was added as few floats that overlap nowhere (Shewchuk 1997); rounds once, when asked."""

    parts: list[float] = field(default_factory=list)
    not_finite: float = 0.0
    """The sum of the infinities and NaNs among them."""

    def add(self, value: float) -> None:
        """Add a value; one that is not finite makes the sum so."""
        if not isfinite(value):
            self.not_finite += value
            return
        kept = 0
        for part in self.parts:
            low, high = (value, part) if abs(value) < abs(part) else (part, value)
            value = high + low
            lost = low - (value - high)
            if lost:
                self.parts[kept] = lost
                kept += 1
        self.parts[kept:] = [value]
        if not isfinite(value):  # finite values whose sum no float can hold
            self.parts, self.not_finite = [], self.not_finite + value

    def value(self) -> float:
        """Return the sum."""
        return self.not_finite if self.not_finite != 0.0 else fsum(self.parts)
