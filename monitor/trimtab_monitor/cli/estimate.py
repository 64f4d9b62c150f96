"""`trimtab estimate`: what a planned run would use, emit and cost."""

from __future__ import annotations

from typing import Annotated

import typer

from trimtab_monitor.cli.energy_flags import ConfigFile, Place, Price, Pue, settings_with
from trimtab_monitor.cli.failure import failing_as
from trimtab_monitor.console import Format, tell
from trimtab_monitor.estimate import Plan, estimate
from trimtab_monitor.estimate.hardware import Found, find_hardware
from trimtab_monitor.estimate.text import as_text

_MOST_DEVICES = 1_000_000_000


def command(
    device: Annotated[
        str | None, typer.Option(metavar="NAME", help="The hardware: h100, A100-80GB, RTX 4090, MI300X.")
    ] = None,
    count: Annotated[
        int | None, typer.Option(max=_MOST_DEVICES, help="How many devices work at once.")
    ] = None,
    hours: Annotated[float | None, typer.Option(help="How long the run takes.")] = None,
    device_hours: Annotated[float | None, typer.Option(help="Devices times hours, instead of both.")] = None,
    watts: Annotated[float | None, typer.Option(help="Power of one device, instead of its name.")] = None,
    utilisation: Annotated[
        float, typer.Option(help="The share of its power that a device draws on average.")
    ] = 1.0,
    host_watts: Annotated[
        float, typer.Option(help="Power of the rest of the machine, for each device.")
    ] = 0.0,
    pue: Pue = None,
    place: Place = None,
    intensity: Annotated[
        float | None, typer.Option(metavar="G_PER_KWH", help="Carbon intensity, instead of a place.")
    ] = None,
    market_intensity: Annotated[
        float | None, typer.Option(metavar="G_PER_KWH", help="Carbon intensity by contract.")
    ] = None,
    price: Price = None,
    gpu_hour_price: Annotated[
        float | None, typer.Option(metavar="PER_HOUR", help="Price of an hour of one device.")
    ] = None,
    currency: Annotated[str | None, typer.Option(help="Currency of the prices: USD, EUR.")] = None,
    wue_site: Annotated[
        float | None, typer.Option(metavar="L_PER_KWH", help="Water of the site per kWh of its machines.")
    ] = None,
    wue_source: Annotated[
        float | None,
        typer.Option(metavar="L_PER_KWH", help="Water of the power stations per kWh of the site."),
    ] = None,
    embodied_kg: Annotated[
        float | None, typer.Option(help="What making one device emitted, in kg of CO2e.")
    ] = None,
    published_kg: Annotated[
        float | None, typer.Option(help="Emissions that were published for this run, to be checked.")
    ] = None,
    config: ConfigFile = None,
    format_: Annotated[Format, typer.Option("--format", help="How to tell it.")] = Format.TEXT,
) -> None:
    """Tell what a planned run would use, emit and cost, and what each figure rests on.

    Name the hardware with --device, or its power with --watts; give --count and --hours, or --device-hours.
    Energy settings in the environment or in trimtab.toml count where no flag is given.
    """
    given = {
        "pue": pue,
        "place": place,
        "intensity_g_per_kwh": intensity,
        "market_intensity_g_per_kwh": market_intensity,
        "price_per_kwh": price,
        "price_per_gpu_hour": gpu_hour_price,
        "currency": currency,
        "wue_site_l_per_kwh": wue_site,
        "wue_source_l_per_kwh": wue_source,
        "embodied": None if embodied_kg is None else {"kg_per_device": embodied_kg},
    }
    with failing_as("estimate"):
        if place is not None and intensity is not None:
            raise ValueError("--place and --intensity are both given: give one of them")
        found, each_watts = _power(device, watts)
        hours_in_all = _device_hours(count, hours, device_hours)
        plan = Plan(hours_in_all, each_watts, utilisation, host_watts, found, count, hours)
        told = estimate(plan, settings_with(config, given).energy, published_kg)
        tell(format_, told, as_text(told))


def _power(device: str | None, watts: float | None) -> tuple[Found | None, float]:
    if device is not None and watts is not None:
        raise ValueError("--device and --watts are both given: give one of them")
    if watts is not None:
        return None, watts
    if device is None:
        raise ValueError("no power: give --device NAME (h100, A100-80GB), or --watts W")
    found = find_hardware(device)
    return found, found.hardware.watts


def _device_hours(count: int | None, hours: float | None, device_hours: float | None) -> float:
    if device_hours is not None:
        if count is not None or hours is not None:
            raise ValueError("--device-hours stands for --count times --hours: give it, or both of them")
        return device_hours
    if count is None or hours is None:
        raise ValueError("no time: give --count N and --hours H, or --device-hours H")
    return count * hours
