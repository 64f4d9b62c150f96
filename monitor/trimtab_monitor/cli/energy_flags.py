"""Settings as flags, those of energy above all: they go before the environment and trimtab.toml."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Final

import typer

from trimtab_monitor.settings import Settings
from trimtab_monitor.settings_load import SettingsInvalid, load_settings

ConfigFile = Annotated[Path | None, typer.Option(help="The settings' file, if not trimtab.toml here.")]
Pue = Annotated[float | None, typer.Option(help="Energy of the site over that of its machines.")]
Place = Annotated[
    str | None, typer.Option(metavar="KEY", help="Where the electricity is used: FR, US-GA, aws:us-east-1.")
]
Price = Annotated[float | None, typer.Option(metavar="PER_KWH", help="Price of electricity.")]

_FLAGS: Final = {
    "energy.intensity_g_per_kwh": "--intensity",
    "energy.market_intensity_g_per_kwh": "--market-intensity",
    "energy.price_per_kwh": "--price",
    "energy.price_per_gpu_hour": "--gpu-hour-price",
    "energy.wue_site_l_per_kwh": "--wue-site",
    "energy.wue_source_l_per_kwh": "--wue-source",
    "energy.embodied.kg_per_device": "--embodied-kg",
}
"""The flags that are not called as the settings that they set."""

_NOBODY_ASKED: Final = {"electricity_maps": None, "uk": {"enabled": False}, "watttime": None}
"""Hourly values are those of the settings' place: where a flag names another grid, none of them holds."""


def settings_with(config: Path | None, given: Mapping[str, Any]) -> Settings:
    """The settings, with the energy settings that were given as flags; None was not given.

    Raises:
        ValueError: a setting is wrong; the message says where it stands and what to do.
    """
    energy = {name: value for name, value in given.items() if value is not None}
    if "place" in energy and "intensity_g_per_kwh" not in energy:
        energy["intensity_g_per_kwh"] = None  # a place that is given goes before an intensity that is set
    if energy.keys() & {"place", "intensity_g_per_kwh"}:
        energy |= _NOBODY_ASKED
    if "currency" in energy and not energy.keys() & {"price_per_kwh", "price_per_gpu_hour"}:
        raise ValueError("--currency is that of a price, and converts none: give --price with it")
    try:
        return load_settings(config, {"energy": energy} if energy else None, _FLAGS)
    except SettingsInvalid as error:
        raise ValueError(str(error)) from None
