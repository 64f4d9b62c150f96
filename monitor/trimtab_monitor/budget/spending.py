"""What is spent of a budget: what was measured, and the most that it may be with what gaps hide."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from trimtab_monitor.budget.limits import Quantity
from trimtab_monitor.folding.run_state import RunState
from trimtab_monitor.ledger.ledger import EnergyLedger
from trimtab_monitor.ledger.units import JOULES_PER_KWH, MICRO

Price = Callable[[RunState], Mapping[str, Any]]
"""Tells a run's ledger with the factors as they are now."""

G_PER_KG = 1000.0


@dataclass(frozen=True, slots=True)
class Spent:
    """Energy of the site in kWh, kg of CO2e, money; None where it is not known. `most` is with the gaps."""

    measured: Mapping[Quantity, float | None]
    most: Mapping[Quantity, float | None]


NOTHING = Spent({}, {})


def spent_of(ledger: EnergyLedger, body: Mapping[str, Any]) -> Spent:
    """What a run has spent, of its ledger and that ledger as told with factors."""
    grams, facility = body["emissions_g"]["location"], body["facility_joules"]
    measured: dict[Quantity, float | None] = {
        "kwh": None if facility is None else facility / JOULES_PER_KWH,
        "kg": None if grams is None else grams / G_PER_KG,
        "cost": body["cost"],
    }
    factor = _upper_bound(ledger, body["energy"]["joules"])
    return Spent(measured, {name: _times(value, factor) for name, value in measured.items()})


def together(parts: Iterable[Spent]) -> Spent:
    """What several runs have spent; of each quantity, those of which it is known."""
    measured: dict[Quantity, float | None] = {}
    most: dict[Quantity, float | None] = {}
    for part in parts:
        _add(measured, part.measured)
        _add(most, part.most)
    return Spent(measured, most)


def _upper_bound(ledger: EnergyLedger, joules: float | None) -> float:
    """By what the measured energy is to be multiplied so that it is the most that it may have been."""
    if not joules:
        return 1.0
    tallies = [row.tally for row in ledger.rows() if row.summed]
    most_uj = sum(
        max(tally.high_uj + tally.estimated_high_uj, tally.energy_uj + tally.estimated_uj)
        for tally in tallies
    )
    return max(1.0, most_uj / MICRO / joules)


def _times(value: float | None, factor: float) -> float | None:
    return None if value is None else value * factor


def _add(total: dict[Quantity, float | None], part: Mapping[Quantity, float | None]) -> None:
    for name, value in part.items():
        if value is not None:
            total[name] = (total.get(name) or 0.0) + value
