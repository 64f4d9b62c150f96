"""Budgets as they are told: how much of each is spent."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Final

from trimtab_monitor.budget.limits import Limit
from trimtab_monitor.budget.spending import Spent
from trimtab_monitor.budget.verdict import Reached, Told, level_to_tell

_NO_ENERGY: Final = "no energy was measured yet"
_SET_FACTOR: Final = {
    "kwh": _NO_ENERGY,
    "kg": "emissions are not known: set energy.place or energy.intensity_g_per_kwh",
    "cost": "cost is not known: set energy.price_per_kwh and energy.currency",
}


@dataclass(frozen=True, slots=True)
class Line:
    """One limit and what is spent of it; `spent` and `most` are None where that is not known, `note` why."""

    limit: Limit
    unit: str
    spent: float | None
    most: float | None
    note: str | None

    @property
    def ratio(self) -> float | None:
        """What of it is used up, with what gaps may hide."""
        return None if self.most is None else self.most / self.limit.amount

    @property
    def out_of_reach(self) -> bool:
        """Whether it can never be reached with the settings as they are."""
        return self.most is None and self.note != _NO_ENERGY

    def as_json(self) -> dict[str, Any]:
        """The shape in which the API and the report tell it."""
        return {
            "name": self.limit.name,
            "quantity": self.limit.quantity,
            "project": self.limit.project,
            "phase": self.limit.phase,
            "unit": self.unit,
            "limit": self.limit.amount,
            "spent": self.spent,
            "spent_at_most": self.most,
            "ratio": self.ratio,
            "stop": self.limit.stop,
            "note": self.note,
        }

    def reached(self, told: Told | None, warn_at: float, now: float) -> Reached | None:
        """The level to tell now, none if there is nothing new."""
        if self.most is None:
            return None
        level = level_to_tell(told, self.most, self.limit.amount, warn_at)
        if level is None:
            return None
        return Reached(
            name=self.limit.name,
            unit=self.unit,
            level=level,
            spent=self.most,
            limit=self.limit.amount,
            time=now,
            stop=self.limit.stop,
            measured=self.spent,
        )


def line_of(limit: Limit, spent: Spent, currency: str) -> Line:
    """What is spent of a limit; `currency` is the one that costs are in."""
    unit = limit.unit(currency)
    if limit.quantity == "cost" and limit.currency not in (None, currency):
        return Line(limit, unit, None, None, f"it is in {limit.currency}, and costs are in {currency}")
    measured, most = spent.measured.get(limit.quantity), spent.most.get(limit.quantity)
    if most is not None:
        return Line(limit, unit, measured, most, None)
    is_measured = spent.measured.get("kwh") is not None
    return Line(limit, unit, None, None, _SET_FACTOR[limit.quantity] if is_measured else _NO_ENERGY)
