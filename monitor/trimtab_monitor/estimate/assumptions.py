"""What an estimate rests on, a sentence each: where every factor is from, and what is not counted."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Final

from trimtab_monitor.estimate.hardware import Found
from trimtab_monitor.estimate.plan import Plan
from trimtab_monitor.pricing.places import ATTRIBUTION, lookup, reading_notes
from trimtab_monitor.pricing.settings import EnergySettings

_REMEDY: Final = "are not counted: give --host-watts for each device"
_HOST_LEFT_OUT: Final[Mapping[str, str]] = {
    "machine": "the whole machine is counted",
    "superchip": f"its CPU is counted; network and fans {_REMEDY}",
    "": f"processors, memory, network and fans {_REMEDY}",
}


def assumptions(plan: Plan, settings: EnergySettings) -> Iterator[str]:
    """Power, time, site, grid, money, and what is left out."""
    yield from _power(plan)
    yield _time(plan)
    yield _host(plan)
    yield _site(settings)
    yield from _grid(settings)
    yield from _water(settings)
    yield _making(settings)
    yield from _money(settings)


def _power(plan: Plan) -> Iterator[str]:
    if plan.found is None:
        yield f"power: {plan.watts:g} W a device, as given"
    else:
        yield from _table_power(plan.found)
    if plan.utilisation < 1:
        yield f"utilisation: {plan.utilisation:.0%} of that on average, as given"
    else:
        yield "utilisation: all of that all the time, an upper bound for most runs: --utilisation lowers it"


def _table_power(found: Found) -> Iterator[str]:
    hardware = found.hardware
    note = f"; {hardware.note}" if hardware.note else ""
    yield (
        f"power: {hardware.watts:g} W a {hardware.covers}, the most that {hardware.name} draws for long "
        f"({hardware.source}){note}"
    )
    if found.others:
        others = ", ".join(f"{each.name} ({each.watts:g} W)" for each in found.others)
        yield f"the name does not say which form: the one that draws most is taken; others: {others}"


def _time(plan: Plan) -> str:
    if plan.count is None or plan.hours is None:
        return f"time: {plan.device_hours:,.10g} device hours, as given"
    return (
        f"time: {plan.count:,} devices for {plan.hours:,.10g} h, without restarts, lost work or other runs "
        "before it"
    )


def _host(plan: Plan) -> str:
    if plan.host_watts:
        return f"host: {plan.host_watts:g} W beside each device, as given"
    covers = plan.found.hardware.covers if plan.found else ""
    return f"host: {_HOST_LEFT_OUT.get(covers, _HOST_LEFT_OUT[''])}"


def _site(settings: EnergySettings) -> str:
    if settings.pue_is_set:
        return f"PUE: {settings.pue:g}, as set"
    return "PUE: not set, 1.0 adds nothing for cooling and losses of the site: give --pue"


def _grid(settings: EnergySettings) -> Iterator[str]:
    if settings.intensity_g_per_kwh is not None:
        yield f"carbon intensity: {settings.intensity_g_per_kwh:g} g/kWh, as set (location-based)"
    elif settings.grid is not None:
        yield from _place(settings.grid)
    else:
        yield "emissions are not known: give --place or --intensity"
    if settings.market_intensity_g_per_kwh is not None:
        yield _contract(settings, settings.market_intensity_g_per_kwh)


def _contract(settings: EnergySettings, g_per_kwh: float) -> str:
    told = f"carbon intensity by contract: {g_per_kwh:g} g/kWh, as set (market-based)"
    if settings.market_share == 1:
        return told
    residual = settings.residual_intensity_g_per_kwh
    rest = "as location-based" if residual is None else f"with {residual:g} g/kWh of the residual mix, as set"
    return f"{told}, for {settings.market_share:.4g} of the electricity; the rest counts {rest}"


def _place(place: str) -> Iterator[str]:
    intensity = lookup(place)
    yield (
        f"carbon intensity: {intensity.g_per_kwh:g} g/kWh, {intensity.label} {intensity.year}, "
        f"{intensity.basis} (location-based; {intensity.source}; {ATTRIBUTION})"
    )
    yield from reading_notes(place)


def _water(settings: EnergySettings) -> Iterator[str]:
    site, source = settings.wue_site_l_per_kwh, settings.wue_source_l_per_kwh
    if site is not None:
        yield f"water of the site: {site:g} l a kWh of the machines, as set"
    if source is not None:
        yield f"water of the power stations: {source:g} l a kWh of the site, as set"
    if site is None and source is None:
        yield "water is not known: give --wue-site or --wue-source"


def _making(settings: EnergySettings) -> str:
    embodied = settings.embodied
    if embodied.kg_per_device is None:
        return "making the hardware is not counted: give --embodied-kg of one device"
    part = "" if embodied.share == 1 else f"{embodied.share:.4g} of "
    return (
        f"making the hardware: {part}{embodied.kg_per_device:g} kg a device over "
        f"{embodied.lifetime_years:g} years, as set (SCI, ISO/IEC 21031:2024); "
        "not in the emissions of its electricity"
    )


def _money(settings: EnergySettings) -> Iterator[str]:
    hour, price, currency = settings.price_per_gpu_hour, settings.price_per_kwh, settings.currency
    if price is not None:
        yield f"price: {price:g} {currency} a kWh of the site, as set"
    elif settings.tariff is not None:
        yield "the tariff of the settings is not applied: at which hours the run works is not known yet"
    if hour is not None:
        yield f"price of a device hour: {hour:g} {settings.gpu_hour_currency or currency}, as set"
    if price is None and hour is None:
        yield "cost is not known: give --price and --currency, or --gpu-hour-price"
