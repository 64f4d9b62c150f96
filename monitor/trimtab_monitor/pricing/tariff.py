"""Prices of electricity by the hour of the day, in the local time of the site."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from difflib import get_close_matches
from functools import cached_property
from typing import Annotated, Final, Literal, Self
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError, available_timezones

from pydantic import BaseModel, ConfigDict, Field, StringConstraints, field_validator, model_validator

from trimtab_monitor.pricing.intensity.values import HOUR_S

Day = Literal["mon", "tue", "wed", "thu", "fri", "sat", "sun"]
DAYS: Final[tuple[Day, ...]] = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")

QUARTER_MIN: Final = 15
QUARTER_S: Final = QUARTER_MIN * 60
_A_DAY: Final = 24 * 60 // QUARTER_MIN
_A_WEEK: Final = 7 * _A_DAY
_TIME_OF_DAY: Final = r"^([01]\d|2[0-3]):(00|15|30|45)$|^24:00$"
TimeOfDay = Annotated[str, StringConstraints(pattern=_TIME_OF_DAY)]


class PeriodSettings(BaseModel):
    """One price and when it holds, in whole quarter-hours; over midnight if it ends before it begins."""

    model_config = ConfigDict(frozen=True, extra="forbid", populate_by_name=True)

    from_: TimeOfDay = Field(alias="from", description="When it begins, local time: 22:00.")
    to: TimeOfDay = Field(description="When it ends: 06:00; 24:00 is the end of the day.")
    price: float = Field(ge=0, allow_inf_nan=False, description="Price per kWh, in `energy.currency`.")
    days: tuple[Day, ...] = Field(
        default=DAYS, min_length=1, description="The days on which it begins: mon to sun; none: all."
    )

    def quarters(self) -> Iterator[int]:
        """The quarter-hours of the week that it holds in, from Monday's first."""
        begin, end = _quarter(self.from_), _quarter(self.to)
        length = end - begin if end > begin else end - begin + _A_DAY
        for day in dict.fromkeys(self.days):
            first = DAYS.index(day) * _A_DAY + begin
            yield from (quarter % _A_WEEK for quarter in range(first, first + length))


class TariffSettings(BaseModel):
    """Electricity priced by the hour of the day. The periods must cover the week, each moment once."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    time_zone: str = Field(description="The site's time zone, by its IANA name: Europe/Paris.")
    periods: tuple[PeriodSettings, ...] = Field(min_length=1, description="The prices.")

    @field_validator("time_zone")
    @classmethod
    def _known(cls, name: str) -> str:
        try:
            ZoneInfo(name)
        except (ZoneInfoNotFoundError, ValueError, OSError):  # a name may also be a folder of the database
            known = sorted(available_timezones())
            near = ", ".join(get_close_matches(name, known, n=3, cutoff=0.5))
            hint = f" (near it: {near})" if near else "" if known else "; install the package tzdata"
            raise ValueError(f"{name!r} is no time zone{hint}: give an IANA name, as Europe/Paris") from None
        return name

    @model_validator(mode="after")
    def _covers_the_week_once(self) -> Self:
        prices = self._week()
        for quarter, found in enumerate(prices):
            if len(found) != 1:
                end = next((q for q in range(quarter, _A_WEEK) if len(prices[q]) != len(found)), _A_WEEK)
                wrong = "has no price" if not found else f"has {len(found)} prices"
                raise ValueError(
                    f"periods: {_told(quarter)} to {_told(end)} {wrong}: let each moment of the week lie in "
                    "one period"
                )
        return self

    def price_in(self, hour: int) -> float:
        """The mean price per kWh in an hour, given by its start, Unix seconds.

        Zones differ from UTC by whole quarter-hours and tariffs change on them, so four looks are exact.
        """
        if hour not in self._by_hour:
            quarters = range(hour, hour + HOUR_S, QUARTER_S)
            self._by_hour[hour] = sum(self._price_at(time) for time in quarters) / len(quarters)
        return self._by_hour[hour]

    def _price_at(self, time: int) -> float:
        local = datetime.fromtimestamp(time, self._zone)
        of_day = (local.hour * 60 + local.minute) // QUARTER_MIN
        return self._prices[local.weekday() * _A_DAY + of_day]

    def _week(self) -> list[list[float]]:
        prices: list[list[float]] = [[] for _ in range(_A_WEEK)]
        for period in self.periods:
            for quarter in period.quarters():
                prices[quarter].append(period.price)
        return prices

    @cached_property
    def _by_hour(self) -> dict[int, float]:
        """Prices by hour that were asked for: ledgers are read again and again, for the same hours."""
        return {}

    @cached_property
    def _zone(self) -> ZoneInfo:
        return ZoneInfo(self.time_zone)

    @cached_property
    def _prices(self) -> list[float]:
        return [price for (price,) in self._week()]


def _quarter(text: str) -> int:
    hours, _, minutes = text.partition(":")
    return (int(hours) * 60 + int(minutes)) // QUARTER_MIN


def _told(quarter: int) -> str:
    day, of_day = divmod(quarter, _A_DAY)
    if day == len(DAYS):
        return "sun 24:00"
    return f"{DAYS[day]} {str(timedelta(minutes=of_day * QUARTER_MIN))[:-3].zfill(5)}"
