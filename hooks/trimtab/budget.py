"""What a run may use, as its owner sets it: energy, carbon, money."""

from __future__ import annotations

import math
from dataclasses import dataclass, fields
from typing import Any, Final

LIMITS: Final = ("kwh", "kg", "cost")
_CURRENCY_LETTERS: Final = 3


@dataclass(frozen=True, slots=True, kw_only=True)
class Budget:
    """The most that a run should use; None: no limit.

    `kwh` is energy of the site (that of the machines times the PUE), `kg` location-based kilograms of CO2e,
    `cost` money in the collector's currency; `currency`, where given, must be that one. At 80 and at 100 % of
    each the collector raises an alert. `stop`: at 100 % of any of them the collector may ask this job to stop
    at its next checkpoint, whatever `rollback` says.

    Raises:
        ValueError: a value is not what it must be; the message names it and says what to give.
    """

    kwh: float | None = None
    kg: float | None = None
    cost: float | None = None
    currency: str | None = None
    stop: bool = False

    def __post_init__(self) -> None:
        for name in LIMITS:
            object.__setattr__(self, name, _limit(name, getattr(self, name)))
        if all(getattr(self, name) is None for name in LIMITS):
            raise ValueError(f"budget: no limit: give one or more of {', '.join(LIMITS)}")
        if self.currency is not None and not _is_currency(self.currency):
            raise ValueError(
                f"budget.currency: {self.currency!r}: give three letters, such as 'EUR', or None"
            )
        if not isinstance(self.stop, bool):
            raise ValueError(f"budget.stop: {self.stop!r}: give True or False")

    def as_json(self) -> dict[str, Any]:
        """The shape in which a run is registered with it; what is not given is left out."""
        told = {each.name: getattr(self, each.name) for each in fields(self)}
        return {name: value for name, value in told.items() if value is not None}


def _limit(name: str, value: Any) -> float | None:
    """Return a limit given as any kind of real number."""
    if value is None:
        return None
    try:
        limit = math.nan if isinstance(value, bool | str | bytes) else float(value)
    except (TypeError, ValueError, OverflowError):
        limit = math.nan
    if not 0.0 < limit < math.inf:
        raise ValueError(f"budget.{name}: {value!r}: give a number above 0, or None for no limit")
    return limit


def _is_currency(value: Any) -> bool:
    return isinstance(value, str) and len(value) == _CURRENCY_LETTERS and value.isascii() and value.isupper()
