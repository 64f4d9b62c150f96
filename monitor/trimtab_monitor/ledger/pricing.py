"""From joules to grams and money. Every factor is applied here, when read, and is told with its source.

facility energy = IT energy x PUE
emissions (g)   = facility energy in kWh x intensity in g/kWh
cost            = facility energy in kWh x price per kWh
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

from trimtab_monitor.ledger.carbon import ATTRIBUTION, lookup, reading_notes
from trimtab_monitor.ledger.ledger import EnergyLedger
from trimtab_monitor.ledger.notes import energy_notes
from trimtab_monitor.ledger.settings import EnergySettings
from trimtab_monitor.ledger.units import JOULES_PER_KWH, MICRO


def facility_kwh(it_joules: float, pue: float) -> float:
    """Energy of the site, in kWh, for energy of its machines in joules."""
    return it_joules * pue / JOULES_PER_KWH


def emissions_g(it_joules: float, pue: float, g_per_kwh: float) -> float:
    """Grams of CO2e for energy of machines in joules."""
    return facility_kwh(it_joules, pue) * g_per_kwh


def cost(it_joules: float, pue: float, price_per_kwh: float) -> float:
    """Price of energy of machines in joules, in the currency of `price_per_kwh`."""
    return facility_kwh(it_joules, pue) * price_per_kwh


@dataclass(frozen=True, slots=True)
class Factors:
    """What energy is multiplied with; None where nothing is known."""

    pue: float
    location_g_per_kwh: float | None
    market_g_per_kwh: float | None
    price_per_kwh: float | None

    @classmethod
    def of(cls, settings: EnergySettings) -> Factors:
        """The factors that these settings name."""
        location = settings.intensity_g_per_kwh
        if location is None and settings.place is not None:
            location = lookup(settings.place).usable().g_per_kwh
        market = settings.market_intensity_g_per_kwh
        return cls(settings.pue, location, market, settings.price_per_kwh)

    def apply(self, it_joules: float | None) -> dict[str, Any]:
        """Emissions by both accountings, and cost; null where the energy or the factor is unknown."""
        return {
            "emissions_g": {
                "location": _times(emissions_g, it_joules, self.pue, self.location_g_per_kwh),
                "market": _times(emissions_g, it_joules, self.pue, self.market_g_per_kwh),
            },
            "cost": _times(cost, it_joules, self.pue, self.price_per_kwh),
        }


def _times(formula: Any, it_joules: float | None, pue: float, factor: float | None) -> float | None:
    return None if it_joules is None or factor is None else float(formula(it_joules, pue, factor))


def priced(ledger: EnergyLedger, settings: EnergySettings) -> dict[str, Any]:
    """A run's energy, carbon and cost, and the factors used: the body of `GET /v1/runs/{run}/ledger`."""
    totals = ledger.totals()
    rows = ledger.rows()
    measured = {
        "energy": {
            "joules": totals.joules,
            "gap_seconds": totals.gap_seconds,
            "estimated_joules": totals.estimated_joules,
            "by": [row.as_json() for row in rows if row.summed],
            "not_summed": [row.as_json() for row in rows if not row.summed],
            "by_hour": _by_hour(ledger),
            "devices": {row.device: row.name for row in rows},
            "readings": asdict(totals.counts),
            "counter_checks": dict(ledger.counter_checks()),
            "notes": list(energy_notes(ledger, totals)),
        },
        "lost_work": {
            "steps": totals.lost_steps,
            "seconds": totals.lost_seconds,
            "joules": totals.lost_joules,
        },
    }
    return repriced(measured, settings)


def repriced(told: Mapping[str, Any], settings: EnergySettings) -> dict[str, Any]:
    """What `priced` told, with the factors of other settings; energy stays as it was measured."""
    energy, lost = told["energy"], told["lost_work"]
    joules = energy["joules"]
    factors = Factors.of(settings)
    return {
        "energy": energy,
        "facility_joules": None if joules is None else joules * settings.pue,
        **factors.apply(joules),
        "currency": settings.currency,
        "lost_work": {**lost, **factors.apply(lost["joules"])},
        "factors": _told(settings, factors),
        "notes": [*energy["notes"], *_factor_notes(settings)],
    }


def _by_hour(ledger: EnergyLedger) -> list[dict[str, float]]:
    return [{"time": time, "joules": energy_uj / MICRO} for time, energy_uj in ledger.by_hour()]


# --- factors, with their sources ---


def _told(settings: EnergySettings, factors: Factors) -> dict[str, Any]:
    price_source = "settings (price_per_kwh)" if settings.price_per_kwh is not None else None
    return {
        "pue": {
            "value": settings.pue,
            "is_set": settings.pue_is_set,
            "source": "settings (pue)" if settings.pue_is_set else "not set: 1.0 adds nothing for the site",
        },
        "location": {"g_per_kwh": factors.location_g_per_kwh, **_location_source(settings)},
        "market": {
            "g_per_kwh": factors.market_g_per_kwh,
            "source": None if factors.market_g_per_kwh is None else "settings (market_intensity_g_per_kwh)",
        },
        "price": {
            "per_kwh": settings.price_per_kwh,
            "currency": settings.currency,
            "source": price_source,
        },
    }


def _location_source(settings: EnergySettings) -> dict[str, Any]:
    if settings.intensity_g_per_kwh is not None:
        return {"place": settings.place, "source": "settings (intensity_g_per_kwh)"}
    if settings.place is None:
        return {"place": None, "source": None}
    intensity = lookup(settings.place)
    return {
        "place": intensity.key,
        "name": intensity.name,
        "year": intensity.year,
        "basis": intensity.basis,
        "quality": intensity.quality,
        "derived_from": intensity.derived_from or None,
        "source": intensity.source,
        "attribution": ATTRIBUTION,
    }


# --- what to know before quoting a figure ---


def _factor_notes(settings: EnergySettings) -> Iterable[str]:
    if not settings.pue_is_set:
        yield "PUE is not set (1.0 is used): set energy.pue to count cooling and losses of the site"
    if settings.intensity_g_per_kwh is None and settings.place is None:
        yield (
            "emissions are not known: set energy.place (TRIMTAB_ENERGY__PLACE=FR), "
            "or energy.intensity_g_per_kwh"
        )
    if settings.place is not None and settings.intensity_g_per_kwh is None:
        yield from reading_notes(settings.place)
    if settings.market_intensity_g_per_kwh is None:
        yield "market-based emissions need a contract: set energy.market_intensity_g_per_kwh"
    if settings.price_per_kwh is None:
        yield "cost is not known: set energy.price_per_kwh and energy.currency"
