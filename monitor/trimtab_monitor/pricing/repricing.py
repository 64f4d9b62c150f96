"""The settings of a reader over those that a ledger was priced with."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from trimtab_monitor.pricing.intensity.sources import LiveSource
from trimtab_monitor.pricing.places import lookup
from trimtab_monitor.pricing.settings import EnergySettings

_FEEDS: Final = {"electricity_maps", "uk", "watttime"}
"""Whom to ask is the collector's matter, and holds secrets: it is not told."""

_PLACE: Final = frozenset({"place", "intensity_g_per_kwh"})
_TOGETHER: Final = (
    _PLACE,
    frozenset({"price_per_kwh", "tariff", "currency"}),
    frozenset({"price_per_gpu_hour", "gpu_hour_currency"}),
    frozenset({"market_intensity_g_per_kwh", "market_share", "residual_intensity_g_per_kwh"}),
)
"""Settings that mean nothing without each other: who gives one of them replaces all."""


def told_settings(settings: EnergySettings) -> dict[str, Any]:
    """The settings that were given, as the ledger tells them."""
    told = _given(settings)
    if settings.grid is not None:
        told["place"] = settings.grid
    if settings.price_per_gpu_hour is not None:
        told["gpu_hour_currency"] = settings.gpu_hour_currency or settings.currency
    return told


def over(told: Mapping[str, Any], settings: EnergySettings) -> EnergySettings:
    """The reader's settings, and the told ones where he gave none."""
    given = _given(settings)
    replaced = {name for group in _TOGETHER if group & given.keys() for name in group}
    kept = {name: value for name, value in told.items() if name not in replaced}
    if "embodied" in given:
        given["embodied"] = {**kept.get("embodied", {}), **given["embodied"]}
    return EnergySettings.model_validate({**kept, **given})


def still_there(
    live: Sequence[LiveSource], told: Mapping[str, Any], settings: EnergySettings
) -> Sequence[LiveSource]:
    """The hourly values, unless the reader wants none, or names another grid than the collector's."""
    if settings.asks_nobody:
        return ()
    given = _given(settings)
    moved = any(_grid(given[name]) != _grid(told.get(name)) for name in _PLACE & given.keys())
    return () if moved else live


def _grid(named: str | float | None) -> str | float | None:
    """A place or an intensity, however it is spelt."""
    return lookup(named).key if isinstance(named, str) else named


def _given(settings: EnergySettings) -> dict[str, Any]:
    return settings.model_dump(mode="json", by_alias=True, exclude_unset=True, exclude=_FEEDS)
