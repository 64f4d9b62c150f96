"""From joules to kilowatt-hours, grams, litres and money: one factor each.

facility energy = IT energy x PUE
emissions (g)   = facility energy in kWh x intensity in g/kWh
cost            = facility energy in kWh x price per kWh
water (l)       = IT energy x WUE of the site + facility energy x WUE of the electricity's source
embodied (g)    = TE x (TiR / EL) x (RR / ToR)         (SCI, ISO/IEC 21031:2024)
"""

from __future__ import annotations

from typing import Final

from trimtab_monitor.ledger.units import JOULES_PER_KWH

HOURS_PER_YEAR: Final = 8_760
GRAMS_PER_KG: Final = 1_000


def facility_kwh(it_joules: float, pue: float) -> float:
    """Energy of the site, in kWh, for energy of its machines in joules."""
    return it_joules * pue / JOULES_PER_KWH


def emissions_g(it_joules: float, pue: float, g_per_kwh: float) -> float:
    """Grams of CO2e for energy of machines in joules."""
    return facility_kwh(it_joules, pue) * g_per_kwh


def cost(it_joules: float, pue: float, price_per_kwh: float) -> float:
    """Price of energy of machines in joules, in the currency of `price_per_kwh`."""
    return facility_kwh(it_joules, pue) * price_per_kwh


def water_l(it_joules: float, pue: float, site: float | None, source: float | None) -> float | None:
    """Litres of water, of as much as is known; None if neither factor is.

    The Green Grid's WUE counts the site's water on the machines' energy, and that of the power stations
    (WUE source) on all energy that the site takes. Others multiply both with the PUE.

    Args:
        it_joules: energy of the machines.
        pue: energy of the site over that of its machines.
        site: litres that the site evaporates per kWh of its machines.
        source: litres that power stations evaporate per kWh that the site takes.
    """
    if site is None and source is None:
        return None
    return facility_kwh(it_joules, 1.0) * (site or 0.0) + facility_kwh(it_joules, pue) * (source or 0.0)


def embodied_g(kg_per_device: float, device_hours: float, lifetime_years: float, share: float) -> float:
    """Grams of CO2e of making the devices, as much as their time in use takes of their life.

    Args:
        kg_per_device: TE, what making one emitted.
        device_hours: TiR, how long how many were held.
        lifetime_years: EL, how long one is used, in years of 8,760 hours.
        share: RR / ToR, what of a device was held.
    """
    return kg_per_device * GRAMS_PER_KG * device_hours / (lifetime_years * HOURS_PER_YEAR) * share
