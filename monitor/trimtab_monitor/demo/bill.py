"""What the watched run cost: the collector's ledger, and a stated assumption where it lacks a place."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from trimtab_monitor.pricing.formulas import emissions_g
from trimtab_monitor.pricing.places import lookup


@dataclass(frozen=True, slots=True)
class Bill:
    """Energy by device and method in joules, emissions in gCO2e, lost work, and what was assumed."""

    energy: dict[str, Any]
    emissions_g: dict[str, float | None]
    lost_work: dict[str, Any]
    assumptions: list[str]


def make_bill(ledger: dict[str, Any], place: str) -> Bill:
    """Take the ledger as it is; if its owner set no place, price its energy at `place` and say so."""
    emissions = dict(ledger["emissions_g"])
    assumptions = list(ledger["notes"])
    joules = ledger["energy"]["joules"]
    if emissions["location"] is None and joules is not None:
        intensity = lookup(place).usable()
        pue = ledger["factors"]["pue"]["value"]
        emissions["location"] = emissions_g(joules, pue, intensity.g_per_kwh)
        assumptions.append(
            f"emissions assume the grid of {intensity.name} ({intensity.g_per_kwh:.0f} gCO2e/kWh, "
            f"{intensity.year}, {intensity.source}): name yours with --place"
        )
    return Bill(ledger["energy"], emissions, ledger["lost_work"], assumptions)
