"""Every factor applied to what was used: grams, litres and money."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from trimtab_monitor.pricing.electricity import GridShare, by_grid
from trimtab_monitor.pricing.formulas import embodied_g, emissions_g, water_l
from trimtab_monitor.pricing.intensity.sources import LiveSource
from trimtab_monitor.pricing.intensity.values import Signal
from trimtab_monitor.pricing.money import costs
from trimtab_monitor.pricing.places import lookup
from trimtab_monitor.pricing.settings import EnergySettings
from trimtab_monitor.pricing.usage import Usage


@dataclass(frozen=True, slots=True)
class Bill:
    """What was used, priced. `location` and `marginal`: with what each kWh was; None: with nothing."""

    usage: Usage
    settings: EnergySettings
    location: GridShare | None
    marginal: GridShare | None

    @classmethod
    def of(cls, usage: Usage, settings: EnergySettings, live: Sequence[LiveSource] = ()) -> Bill:
        """Price it with these settings and hourly values."""
        average, marginal = source(live, "average"), source(live, "marginal")
        return cls(
            usage,
            settings,
            location=by_grid(usage, settings.pue, average, default_intensity(settings)),
            marginal=by_grid(usage, settings.pue, marginal, None),
        )

    @property
    def location_g(self) -> float | None:
        """Emissions by the grid's average."""
        return None if self.location is None else self.location.grams

    @property
    def marginal_g(self) -> float | None:
        """What the use of this energy added to the grid's emissions; in no sum with the average."""
        return None if self.marginal is None else self.marginal.grams

    @property
    def market_g(self) -> float | None:
        """Emissions by contract, and of what it does not cover by the residual mix, else by location."""
        settings, joules = self.settings, self.usage.joules
        contract = settings.market_intensity_g_per_kwh
        if contract is None or joules is None:
            return None
        covered = settings.market_share * emissions_g(joules, settings.pue, contract)
        if settings.market_share == 1:
            return covered
        residual = settings.residual_intensity_g_per_kwh
        rest = self.location_g if residual is None else emissions_g(joules, settings.pue, residual)
        return None if rest is None else covered + (1 - settings.market_share) * rest

    @property
    def embodied_g(self) -> float | None:
        """The part of the devices' making that falls to the time they were held."""
        embodied, hours = self.settings.embodied, self.usage.gpu_hours
        if embodied.kg_per_device is None or hours is None:
            return None
        return embodied_g(embodied.kg_per_device, hours, embodied.lifetime_years, embodied.share)

    @property
    def water_l(self) -> float | None:
        """Water of the site and of the power stations, as far as their factors are set."""
        settings, joules = self.settings, self.usage.joules
        if joules is None:
            return None
        return water_l(joules, settings.pue, settings.wue_site_l_per_kwh, settings.wue_source_l_per_kwh)

    def as_json(self) -> dict[str, Any]:
        """The shape in which the API and the report tell it."""
        joules = self.usage.joules
        return {
            "facility_joules": None if joules is None else joules * self.settings.pue,
            "emissions_g": {"location": self.location_g, "market": self.market_g},
            "marginal_g": self.marginal_g,
            "embodied_g": self.embodied_g,
            "water_l": self.water_l,
            "gpu_hours": self.usage.gpu_hours,
            **costs(self.usage, self.settings),
            "currency": self.settings.currency,
        }


def default_intensity(settings: EnergySettings) -> float | None:
    """The intensity of every hour of which no provider told, in g/kWh: the one given, else the place's."""
    if settings.intensity_g_per_kwh is not None or settings.grid is None:
        return settings.intensity_g_per_kwh
    return lookup(settings.grid).usable().g_per_kwh


def source(live: Sequence[LiveSource], signal: Signal) -> LiveSource | None:
    """The source of a signal, if there is one."""
    return next((each for each in live if each.signal == signal), None)
