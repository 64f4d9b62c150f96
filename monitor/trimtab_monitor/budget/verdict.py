"""Is there anything to tell of a budget: decided of what is spent, and of what was told before."""

from __future__ import annotations

from typing import Final

import msgspec

CALM: Final = 0.0
USED_UP: Final = 1.0
MEASURED: Final = 0.99
"""Where less than such a part was measured, people are told."""


class Reached(msgspec.Struct, frozen=True, kw_only=True):
    """A budget has come to `level`: the part at which a warning is told, or 1, used up; 0: below both again.

    `spent` is what was measured and the most that gaps may hide, `measured` without that, `limit` the budget,
    all in `unit`.
    `time` is when that was noticed, Unix seconds of the collector's clock.
    """

    name: str
    unit: str
    level: float
    spent: float
    limit: float
    time: float = 0.0
    stop: bool = False
    measured: float | None = None

    def sentence(self) -> str:
        """For people.

        >>> Reached(name="kwh", unit="kWh", level=0.8, spent=4.1, limit=5.0).sentence()
        '82 % of the budget is used: 4.1 of 5 kWh'
        >>> Reached(name="kg of gpt", unit="kg CO2e", level=1.0, spent=5.0, limit=5.0).sentence()
        'the budget is used up: 5 of 5 kg CO2e of gpt'
        >>> Reached(name="kwh", unit="kWh", level=1.0, spent=5.2, limit=5.0, measured=4.1).sentence()
        'the budget is used up: 5.2 of 5 kWh, 4.1 of it measured and the rest what gaps may hide'
        """
        quantity, of, whose = self.name.partition(" of ")
        del quantity
        amount = f"{self.spent:.4g} of {self.limit:.4g} {self.unit}{of}{whose}"
        if self.measured is not None and self.measured < MEASURED * self.spent:
            amount += f", {self.measured:.4g} of it measured and the rest what gaps may hide"
        if self.level >= USED_UP:
            return f"the budget is used up: {amount}"
        return f"{100 * self.spent / self.limit:.0f} % of the budget is used: {amount}"


class Told(msgspec.Struct, frozen=True):
    """What was last told of a budget, and when: its level, and how much it was then."""

    level: float
    limit: float
    time: float = 0.0


def level_of(spent: float, limit: float, warn_at: float) -> float:
    """The level that so much of a budget is."""
    if spent >= limit:
        return USED_UP
    return warn_at if spent >= warn_at * limit else CALM


def level_to_tell(told: Told | None, spent: float, limit: float, warn_at: float) -> float | None:
    """The level to tell now, none if there is nothing new.

    Each is told once. What was told is taken back only where the budget itself was raised: a figure that
    falls because a factor was corrected must not make an alert come and go.

    >>> level_to_tell(None, 4.0, 5.0, 0.8), level_to_tell(Told(0.8, 5.0), 4.5, 5.0, 0.8)
    (0.8, None)
    >>> level_to_tell(Told(1.0, 5.0), 5.1, 20.0, 0.8), level_to_tell(Told(1.0, 5.0), 4.9, 5.0, 0.8)
    (0.0, None)
    """
    level = level_of(spent, limit, warn_at)
    before = CALM if told is None else told.level
    raised = told is not None and limit > told.limit
    return level if level > before or (raised and level < before) else None
