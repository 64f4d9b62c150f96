"""What the electricity of a run emitted by the grid, hour by hour where the hour's intensity is known."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from math import isclose
from typing import Final

from trimtab_monitor.pricing.formulas import emissions_g, facility_kwh
from trimtab_monitor.pricing.intensity.sources import LiveSource
from trimtab_monitor.pricing.usage import Usage

_ROUNDING: Final = 1e-12
"""How far the sum of a year's hours may be from their total, as a part of it, because floats are rounded."""


@dataclass(frozen=True, slots=True)
class GridShare:
    """Emissions of energy of the site, by what its intensity was taken from.

    Args:
        live_kwh: priced by the value of its hour, emitting `live_g`; `estimated_kwh` of it by values that
            may still change.
        default_kwh: priced by the value that holds for every other hour, emitting `default_g`.
        unpriced_kwh: of hours without a value, where no other is known; in no sum.
    """

    live_kwh: float
    live_g: float
    estimated_kwh: float
    default_kwh: float
    default_g: float
    unpriced_kwh: float

    @property
    def grams(self) -> float | None:
        """Emissions of all that is priced; None if nothing is."""
        priced_kwh = self.live_kwh + self.default_kwh
        return None if priced_kwh == 0 and self.unpriced_kwh > 0 else self.live_g + self.default_g

    @property
    def mean_g_per_kwh(self) -> float | None:
        """The mean intensity of what is priced, weighted with its energy."""
        priced_kwh = self.live_kwh + self.default_kwh
        return (self.live_g + self.default_g) / priced_kwh if priced_kwh > 0 else None


def by_grid(usage: Usage, pue: float, live: LiveSource | None, default: float | None) -> GridShare | None:
    """Price energy hour by hour, with the live value where there is one, else with `default` in g/kWh.

    Returns:
        None if the energy is not known, or nothing is to price it with.
    """
    if usage.joules is None or (live is None and default is None):
        return None
    values: Mapping[int, tuple[float, bool]] = {} if live is None else live.values
    hours = {hour: joules for hour, joules in usage.by_hour.items() if hour in values}
    rest_joules = _rest(usage.joules, sum(hours.values()))
    rest_kwh = facility_kwh(rest_joules, pue)
    estimated_joules = sum(joules for hour, joules in hours.items() if values[hour][1])
    return GridShare(
        live_kwh=facility_kwh(sum(hours.values()), pue),
        live_g=sum(emissions_g(joules, pue, values[hour][0]) for hour, joules in hours.items()),
        estimated_kwh=facility_kwh(estimated_joules, pue),
        default_kwh=0.0 if default is None else rest_kwh,
        default_g=0.0 if default is None else emissions_g(rest_joules, pue, default),
        unpriced_kwh=rest_kwh if default is None else 0.0,
    )


def _rest(whole: float, part: float) -> float:
    """What is left of the whole; nothing where only rounding is."""
    return 0.0 if isclose(whole, part, rel_tol=_ROUNDING) else whole - part
