"""What energy and hours of devices cost. Currencies are named, and never added to each other."""

from __future__ import annotations

from typing import Any

from trimtab_monitor.pricing.formulas import cost, facility_kwh
from trimtab_monitor.pricing.settings import EnergySettings
from trimtab_monitor.pricing.tariff import TariffSettings
from trimtab_monitor.pricing.usage import Usage


def costs(usage: Usage, settings: EnergySettings) -> dict[str, Any]:
    """The keys `cost`, in `currency`, and `cost_parts`: each with its own currency.

    `cost` adds up the parts that are in `currency`, and is null if none of them is known.
    """
    parts = {
        "electricity": {"amount": electricity(usage, settings), "currency": settings.currency},
        "gpu_hours": {"amount": gpu_hours(usage, settings), "currency": gpu_currency(settings)},
    }
    known = [
        part["amount"]
        for part in parts.values()
        if part["currency"] == settings.currency and part["amount"] is not None
    ]
    return {"cost": sum(known) if known else None, "cost_parts": parts}


def electricity(usage: Usage, settings: EnergySettings) -> float | None:
    """The electricity of the site, at one price or by the hour of the day; None if one of both is unknown."""
    if usage.joules is None:
        return None
    if settings.price_per_kwh is not None:
        return cost(usage.joules, settings.pue, settings.price_per_kwh)
    if settings.tariff is not None:
        return _by_tariff(usage, usage.joules, settings.pue, settings.tariff)
    return None


def gpu_hours(usage: Usage, settings: EnergySettings) -> float | None:
    """The hours of accelerators."""
    if usage.gpu_hours is None or settings.price_per_gpu_hour is None:
        return None
    return usage.gpu_hours * settings.price_per_gpu_hour


def gpu_currency(settings: EnergySettings) -> str:
    """The currency of a GPU hour's price."""
    return settings.gpu_hour_currency or settings.currency


def _by_tariff(usage: Usage, joules: float, pue: float, tariff: TariffSettings) -> float | None:
    """Hour by hour; energy of hours that are not told apart any more costs what the others do on average."""
    told_joules = sum(usage.by_hour.values())
    told = sum(facility_kwh(each, pue) * tariff.price_in(hour) for hour, each in usage.by_hour.items())
    if told_joules > 0:
        return told * joules / told_joules
    return 0.0 if joules == 0 else None
