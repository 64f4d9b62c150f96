"""The Carbon Intensity API of Great Britain's grid operator: half-hourly, no key.

`GET /intensity/{from}/{to}` (https://carbon-intensity.github.io/api-definitions). `actual` is null until the
half-hour is closed; until then the forecast counts, as an estimate.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Final

from trimtab_monitor.pricing.intensity.http import Getter
from trimtab_monitor.pricing.intensity.provider import ProviderFailed, told_by
from trimtab_monitor.pricing.intensity.values import (
    HourlyIntensity,
    Moment,
    Signal,
    ValueRefused,
    g_per_kwh_of,
    hourly_means,
    time_of,
)

NAME: Final = "uk"
ZONE: Final = "GB"
_HALVES: Final = 2
_REACH_HOURS: Final = 13 * 24
"""The provider gives at most 14 days in one answer."""


@dataclass(frozen=True, slots=True)
class UkCarbonIntensity:
    """See `provider.Provider`."""

    getter: Getter
    name: str = NAME
    zone: str = ZONE
    signal: Signal = "average"
    basis: str = "operational emissions of generation, with imports"
    reach_hours: int = _REACH_HOURS
    attribution: str = "Carbon Intensity API, NESO, https://carbonintensity.org.uk, CC BY 4.0"

    def fetch(self, from_hour: int, to_hour: int, now: float) -> list[HourlyIntensity]:
        """See Provider."""
        answer = self.getter.get(f"/intensity/{_text(from_hour)}/{_text(to_hour)}", {}, {})
        means = hourly_means(self._moments(answer), _HALVES)
        return told_by(self, means, range(from_hour, to_hour), now)

    def _moments(self, answer: Any) -> Iterable[Moment]:
        data = answer.get("data") if isinstance(answer, dict) else None
        if not isinstance(data, list):
            raise ProviderFailed(f"{self.getter.url}: the answer has no list `data`")
        for each in data:
            intensity = each.get("intensity") if isinstance(each, dict) else None
            if not isinstance(intensity, dict):
                raise ValueRefused("an entry has no object `intensity`")
            actual, forecast = intensity.get("actual"), intensity.get("forecast")
            value = forecast if actual is None else actual
            if value is not None:
                yield Moment(time_of(each.get("from")), g_per_kwh_of(value), actual is None)


def _text(time: int) -> str:
    return datetime.fromtimestamp(time, UTC).strftime("%Y-%m-%dT%H:%MZ")
