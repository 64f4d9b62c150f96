"""Electricity Maps, API v3: average intensity of a zone by consumption, of the last 24 hours.

`GET /v3/carbon-intensity/latest` and `/history`, header `auth-token` (https://portal.electricitymaps.com/docs).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from typing import Any, Final, Literal

from trimtab_monitor.pricing.intensity.http import Getter
from trimtab_monitor.pricing.intensity.provider import ProviderFailed, told_by
from trimtab_monitor.pricing.intensity.values import (
    HourlyIntensity,
    Moment,
    Signal,
    ValueRefused,
    g_per_kwh_of,
    hour_of,
    hourly_means,
    time_of,
)

NAME: Final = "electricity-maps"
Factors = Literal["lifecycle", "direct"]
_HISTORY_HOURS: Final = 24


@dataclass(frozen=True, slots=True)
class ElectricityMaps:
    """See `provider.Provider`. `token` gives the token at each request."""

    getter: Getter
    zone: str
    factors: Factors
    token: Callable[[], str]
    name: str = NAME
    signal: Signal = "average"
    reach_hours: int = _HISTORY_HOURS
    attribution: str = "Electricity Maps, https://www.electricitymaps.com; its terms apply"

    @property
    def basis(self) -> str:
        """What is counted, in the provider's words."""
        return f"{self.factors}, of consumption"

    def fetch(self, from_hour: int, to_hour: int, now: float) -> list[HourlyIntensity]:
        """See Provider."""
        current = hour_of(now)
        told: list[Any] = []
        if from_hour < current:
            told += self._history()
        if to_hour > current:
            told.append(self._ask("latest"))
        means = hourly_means(self._moments(told), expected=1)
        return told_by(self, means, range(from_hour, to_hour), now)

    def _history(self) -> list[Any]:
        answer = self._ask("history")
        history = answer.get("history") if isinstance(answer, dict) else None
        if not isinstance(history, list):
            raise ProviderFailed(f"{self.getter.url}: the answer has no list `history`")
        self._check(answer)
        return history

    def _ask(self, what: str) -> Any:
        query = {"zone": self.zone, "emissionFactorType": self.factors}
        return self.getter.get(f"/v3/carbon-intensity/{what}", query, {"auth-token": self.token()})

    def _moments(self, told: Iterable[Any]) -> Iterable[Moment]:
        for each in told:
            if not isinstance(each, dict):
                raise ValueRefused("an entry is no object")
            self._check(each)
            if each.get("carbonIntensity") is not None:
                value, time = g_per_kwh_of(each["carbonIntensity"]), time_of(each.get("datetime"))
                yield Moment(time, value, each.get("isEstimated") is not False)

    def _check(self, told: Mapping[str, Any]) -> None:
        """What is of another zone, or counted otherwise, must not come into one sum with ours."""
        for key, ours in (("zone", self.zone), ("emissionFactorType", self.factors)):
            if told.get(key, ours) != ours:
                raise ValueRefused(f"{key} is {str(told[key])[:40]!r}, we asked for {ours!r}")
