"""What may be used at most, of which quantity, by what: a run, a project, or a phase of a project."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Final, Literal

import msgspec

Quantity = Literal["kwh", "kg", "cost"]
QUANTITIES: Final[tuple[Quantity, ...]] = ("kwh", "kg", "cost")
"""Energy of the site in kWh, location-based emissions in kg of CO2e, money."""

_Amount = Annotated[float, msgspec.Meta(gt=0)]


class RunBudget(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """What its owner allows a run. `stop`: the job lets itself be stopped where that is used up."""

    kwh: _Amount | None = None
    kg: _Amount | None = None
    cost: _Amount | None = None
    currency: str | None = None
    stop: bool = False


@dataclass(frozen=True, slots=True)
class Limit:
    """The most of one quantity. Of a run where `project` is none, else of the project or a phase of it.

    `stop`: the owner of the run wants it stopped there. `currency` is what a limit in money names.
    """

    quantity: Quantity
    amount: float
    stop: bool = False
    currency: str | None = None
    project: str | None = None
    phase: str | None = None

    @property
    def name(self) -> str:
        """By what it is known: each limit of a run or a project has its own.

        >>> Limit("kwh", 5.0).name, Limit("kg", 5.0, project="gpt", phase="pretraining").name
        ('kwh', 'kg of gpt, pretraining')
        """
        if self.project is None:
            return self.quantity
        return f"{self.quantity} of {self.project}" + ("" if self.phase is None else f", {self.phase}")

    def unit(self, currency: str) -> str:
        """The unit for people; money is in `currency`."""
        return {"kwh": "kWh", "kg": "kg CO2e", "cost": currency}[self.quantity]


def limits_of_run(own: RunBudget | None, default: RunBudget) -> list[Limit]:
    """The limits of a run, quantity by quantity: what its owner set goes before what holds for every run.

    >>> limits_of_run(RunBudget(kwh=2.0, stop=True), RunBudget(kwh=9.0, kg=1.0))[0].amount
    2.0
    """
    return [
        Limit(quantity, amount, budget.stop, budget.currency)
        for quantity in QUANTITIES
        for budget in _first_with(quantity, (own, default))
        if (amount := getattr(budget, quantity)) is not None
    ]


def _first_with(quantity: Quantity, budgets: Sequence[RunBudget | None]) -> list[RunBudget]:
    return [each for each in budgets if each is not None and getattr(each, quantity) is not None][:1]
