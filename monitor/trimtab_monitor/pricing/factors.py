"""The factors that a bill was made with, each with its value, its source and whether somebody set it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from trimtab_monitor.pricing.bill import Bill, default_intensity, source
from trimtab_monitor.pricing.electricity import GridShare
from trimtab_monitor.pricing.intensity.sources import LiveSource
from trimtab_monitor.pricing.money import gpu_currency
from trimtab_monitor.pricing.places import ATTRIBUTION, lookup
from trimtab_monitor.pricing.settings import EnergySettings

Told = dict[str, Any]


def factors(bill: Bill, live: Sequence[LiveSource]) -> Told:
    """The key `factors` of the ledger's body."""
    settings = bill.settings
    return {
        "pue": {
            "value": settings.pue,
            "is_set": settings.pue_is_set,
            "source": "settings (pue)" if settings.pue_is_set else "not set: 1.0 adds nothing for the site",
        },
        "location": _location(bill, source(live, "average")),
        "market": _market(settings),
        "marginal": _marginal(bill.marginal, source(live, "marginal")),
        "water": {
            "site_l_per_kwh": settings.wue_site_l_per_kwh,
            "source_l_per_kwh": settings.wue_source_l_per_kwh,
            "convention": "site: per kWh of the machines; source: per kWh of the site, PUE inside",
        },
        "embodied": {**settings.embodied.model_dump(), "method": "SCI, ISO/IEC 21031:2024"},
        "price": _price(settings),
        "gpu_hour": {"price": settings.price_per_gpu_hour, "currency": gpu_currency(settings)},
        "live": [each.as_json() for each in live],
    }


def _location(bill: Bill, live: LiveSource | None) -> Told:
    default = {"g_per_kwh": default_intensity(bill.settings), **_default_source(bill.settings)}
    share = bill.location
    if share is None:
        return {**default, "mean_g_per_kwh": None, "priced_by": [], "unpriced_kwh": 0.0}
    priced_by = []
    if live is not None and share.live_kwh > 0:
        priced_by.append(_live_part(share, live))
    if share.default_kwh > 0:
        priced_by.append(_default_part(share, default))
    return {
        **default,
        "mean_g_per_kwh": share.mean_g_per_kwh,
        "priced_by": priced_by,
        "unpriced_kwh": share.unpriced_kwh,
    }


def _live_part(share: GridShare, live: LiveSource) -> Told:
    return {
        "source": live.provider,
        "place": live.zone,
        "basis": live.basis,
        "year": None,
        "attribution": live.attribution,
        "kwh": share.live_kwh,
        "estimated_kwh": share.estimated_kwh,
        "grams": share.live_g,
    }


def _default_part(share: GridShare, default: Mapping[str, Any]) -> Told:
    return {
        **{name: default.get(name) for name in ("source", "place", "basis", "year", "attribution")},
        "kwh": share.default_kwh,
        "estimated_kwh": 0.0,
        "grams": share.default_g,
    }


def _default_source(settings: EnergySettings) -> Told:
    if settings.intensity_g_per_kwh is not None:
        return {"place": settings.place, "source": "settings (intensity_g_per_kwh)"}
    if settings.grid is None:
        return {"place": None, "source": None}
    intensity = lookup(settings.grid)
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


def _market(settings: EnergySettings) -> Told:
    contract, residual = settings.market_intensity_g_per_kwh, settings.residual_intensity_g_per_kwh
    told: Told = {
        "g_per_kwh": contract,
        "source": None if contract is None else "settings (market_intensity_g_per_kwh)",
        "share": settings.market_share,
        "rest": None,
    }
    if contract is not None and settings.market_share < 1:
        of = "location" if residual is None else "settings (residual_intensity_g_per_kwh)"
        told["rest"] = {"g_per_kwh": residual, "source": of}
    return told


def _marginal(share: GridShare | None, live: LiveSource | None) -> Told | None:
    if share is None or live is None:
        return None
    return {
        "source": live.provider,
        "zone": live.zone,
        "basis": live.basis,
        "attribution": live.attribution,
        "kwh": share.live_kwh,
        "unpriced_kwh": share.unpriced_kwh,
        "mean_g_per_kwh": share.mean_g_per_kwh,
    }


def _price(settings: EnergySettings) -> Told:
    flat, tariff = settings.price_per_kwh, settings.tariff
    told: Told = {"per_kwh": flat, "currency": settings.currency, "source": None}
    if flat is not None:
        return {**told, "source": "settings (price_per_kwh)"}
    if tariff is None:
        return told
    return {**told, "source": "settings (tariff)", "tariff": tariff.model_dump(mode="json", by_alias=True)}
