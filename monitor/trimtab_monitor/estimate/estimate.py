"""From a plan to kilowatt-hours, kilograms of CO2e and money, with what each figure rests on.

energy of the machines = device hours x (watts x utilisation + watts of the host)
energy of the site     = energy of the machines x PUE
emissions              = energy of the site x carbon intensity
cost                   = energy of the site x price, and device hours x their price
water, making          = as `trimtab_monitor.pricing.formulas` has them
"""

from __future__ import annotations

from typing import Any

from trimtab_monitor.estimate.assumptions import assumptions
from trimtab_monitor.estimate.plan import Plan
from trimtab_monitor.estimate.published import Published
from trimtab_monitor.ledger.units import JOULES_PER_KWH
from trimtab_monitor.pricing.bill import Bill
from trimtab_monitor.pricing.settings import EnergySettings
from trimtab_monitor.pricing.usage import Usage


def estimate(plan: Plan, settings: EnergySettings, published_kg: float | None = None) -> dict[str, Any]:
    """The estimate: the keys of `trimtab estimate --format json`.

    Masses are kilograms of CO2e: `emissions_kg` by location, `emissions_market_kg` by contract, `embodied_kg`
    of making the devices. `cost` is in `currency`, its parts each in their own. Null where a factor is not
    known. `published` is there if a published figure is to be checked.

    Raises:
        ValueError: `published_kg` is not a mass.
    """
    bill = Bill.of(Usage(plan.it_kwh * JOULES_PER_KWH, {}, plan.device_hours), settings).as_json()
    told = {
        "energy_it_kwh": plan.it_kwh,
        "energy_kwh": plan.it_kwh * settings.pue,
        "emissions_kg": _kg(bill["emissions_g"]["location"]),
        "emissions_market_kg": _kg(bill["emissions_g"]["market"]),
        "embodied_kg": _kg(bill["embodied_g"]),
        "water_l": bill["water_l"],
        "cost": bill["cost"],
        "currency": bill["currency"],
        "cost_parts": bill["cost_parts"],
        "device_hours": plan.device_hours,
        "device": plan.found.hardware.name if plan.found else None,
        "watts": plan.watts,
        "pue": settings.pue,
        "assumptions": list(assumptions(plan, settings)),
    }
    if published_kg is not None:
        told["published"] = Published(
            published_kg,
            told["emissions_kg"],
            told["energy_kwh"],
            settings.pue,
            told["emissions_market_kg"],
        ).as_json()
    return told


def _kg(grams: float | None) -> float | None:
    return None if grams is None else grams / 1_000
