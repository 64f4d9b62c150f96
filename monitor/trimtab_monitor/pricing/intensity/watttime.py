"""WattTime, API v3: the marginal operating emission rate of a region, every five minutes.

`GET /login` (basic authentication) gives a token for half an hour; `/v3/historical` the past, `/v3/forecast`
what is to come, both in pounds of CO2 per MWh (https://docs.watttime.org).
"""

from __future__ import annotations

import base64
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any, Final

from trimtab_monitor.pricing.intensity.http import Getter
from trimtab_monitor.pricing.intensity.provider import ProviderFailed, told_by
from trimtab_monitor.pricing.intensity.values import (
    HOUR_S,
    HourlyIntensity,
    Moment,
    Signal,
    ValueRefused,
    g_per_kwh_of,
    hour_of,
    hourly_means,
    time_of,
)

NAME: Final = "watttime"
G_PER_KWH_OF_LBS_PER_MWH: Final = 0.45359237
_SIGNAL_TYPE: Final = "co2_moer"
_UNITS: Final = "lbs_co2_per_mwh"
_UNAUTHORISED: Final = 401
_FORBIDDEN: Final = 403
_PERIOD_S: Final = 300
_REACH_HOURS: Final = 31 * 24
"""The provider gives at most 32 days in one answer."""


@dataclass(slots=True)
class WattTime:
    """See `provider.Provider`. `login` gives user and password at each login."""

    getter: Getter
    zone: str
    login: Callable[[], tuple[str, str]]
    name: str = NAME
    signal: Signal = "marginal"
    basis: str = "marginal operating emission rate (co2_moer)"
    reach_hours: int = _REACH_HOURS
    attribution: str = "WattTime, https://watttime.org; its terms apply"
    _token: str | None = field(default=None, init=False)

    def fetch(self, from_hour: int, to_hour: int, now: float) -> list[HourlyIntensity]:
        """See Provider."""
        times = {"start": _text(from_hour), "end": _text(min(to_hour, int(now)))}
        answer = self._ask("historical", times)
        means = hourly_means(self._moments(answer, is_estimated=False), _points_an_hour(answer))
        current = hour_of(now)
        if from_hour <= current < to_hour and current not in means:
            means |= self._forecast(current)
        return told_by(self, means, range(from_hour, to_hour), now)

    def _forecast(self, hour: int) -> dict[int, tuple[float, bool]]:
        """An estimate of one hour; none for accounts that may not see forecasts."""
        try:
            answer = self._ask("forecast", {})
        except ProviderFailed as failed:
            if failed.status == _FORBIDDEN:
                return {}
            raise
        means = hourly_means(self._moments(answer, is_estimated=True), _points_an_hour(answer))
        return {hour: means[hour]} if hour in means else {}

    def _ask(self, what: str, times: Mapping[str, str]) -> Any:
        """Ask with the token that we have; where it is refused, with a new one."""
        query = {"region": self.zone, "signal_type": _SIGNAL_TYPE, **times}
        had_one = self._token is not None
        try:
            return self.getter.get(f"/v3/{what}", query, self._bearer())
        except ProviderFailed as failed:
            if failed.status != _UNAUTHORISED:
                raise
            self._token = None
            if not had_one:
                raise
        return self.getter.get(f"/v3/{what}", query, self._bearer())

    def _bearer(self) -> dict[str, str]:
        if self._token is None:
            pair = base64.b64encode(":".join(self.login()).encode()).decode()
            answer = self.getter.get("/login", {}, {"Authorization": f"Basic {pair}"})
            token = answer.get("token") if isinstance(answer, dict) else None
            if not isinstance(token, str) or not token.isascii() or not token.isprintable():
                raise ProviderFailed(f"{self.getter.url}: the answer to the login has no token")
            self._token = token
        return {"Authorization": f"Bearer {self._token}"}

    def _moments(self, answer: Any, *, is_estimated: bool) -> Iterable[Moment]:
        data, meta = (answer.get(key) if isinstance(answer, dict) else None for key in ("data", "meta"))
        if not isinstance(data, list) or not isinstance(meta, dict):
            raise ProviderFailed(f"{self.getter.url}: the answer has no list `data` with its `meta`")
        for key, ours in (("units", _UNITS), ("region", self.zone), ("signal_type", _SIGNAL_TYPE)):
            if meta.get(key, ours) != ours or (key == "units" and key not in meta):
                raise ValueRefused(f"{key} is {str(meta.get(key))[:40]!r}, it must be {ours!r}")
        for each in data:
            if not isinstance(each, dict):
                raise ValueRefused("an entry is no object")
            g_per_kwh = g_per_kwh_of(each.get("value"), G_PER_KWH_OF_LBS_PER_MWH)
            yield Moment(time_of(each.get("point_time")), g_per_kwh, is_estimated)


def _points_an_hour(answer: Any) -> int:
    """How many values make a whole hour: one every five minutes, unless the answer says otherwise."""
    meta = answer.get("meta") if isinstance(answer, dict) else None
    period_s = meta.get("data_point_period_seconds") if isinstance(meta, dict) else None
    if isinstance(period_s, int) and 0 < period_s <= HOUR_S:
        return HOUR_S // period_s
    return HOUR_S // _PERIOD_S


def _text(time: int) -> str:
    return datetime.fromtimestamp(time, UTC).strftime("%Y-%m-%dT%H:%M:%S+00:00")
