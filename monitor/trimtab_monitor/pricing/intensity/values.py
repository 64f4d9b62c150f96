"""What a provider says of a grid in one hour, and how its finer values become hours."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import UTC, datetime
from math import isfinite
from typing import Final, Literal

HOUR_S: Final = 3_600
MOST_G_PER_KWH: Final = 5_000.0
"""No grid is near it: the dirtiest power stations emit some 1,500 g/kWh."""

Signal = Literal["average", "marginal"]
"""Average answers "what is my share", marginal "what changes if I shift load": never in one sum."""


class ValueRefused(ValueError):  # noqa: N818 - told as such
    """What a provider told cannot be; the message names the value."""


@dataclass(frozen=True, slots=True)
class HourlyIntensity:
    """Grams of CO2e per kWh in one hour of a zone.

    Args:
        hour: its start, Unix seconds, a multiple of 3600.
        basis: what the provider counts in it (lifecycle, direct, ...), in its word.
        is_estimated: the provider, or we, expect it to change.
        fetched: when it was asked for, Unix seconds.

    Raises:
        ValueRefused: the value or the hour cannot be.
    """

    provider: str
    zone: str
    signal: Signal
    hour: int
    g_per_kwh: float
    basis: str
    is_estimated: bool
    fetched: float

    def __post_init__(self) -> None:
        _check(self.g_per_kwh)
        if self.hour % HOUR_S:
            raise ValueRefused(f"{self.hour} is not the start of an hour")

    @property
    def is_settled(self) -> bool:
        """Whether it will not change any more: told after its hour was over, and no estimate."""
        return not self.is_estimated and self.fetched >= self.hour + HOUR_S


@dataclass(frozen=True, slots=True)
class Moment:
    """A value for a stretch within an hour, which begins at `time`, Unix seconds."""

    time: float
    g_per_kwh: float
    is_estimated: bool = False


def hour_of(time: float) -> int:
    """The start of the hour that `time` lies in, both Unix seconds."""
    return int(time // HOUR_S) * HOUR_S


def time_of(text: object) -> float:
    """Unix seconds of an ISO 8601 time, which is UTC unless it says otherwise.

    Raises:
        ValueRefused: it is none.
    """
    try:
        moment = datetime.fromisoformat(text)  # type: ignore[arg-type]
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
    except (TypeError, ValueError, OverflowError):
        raise ValueRefused(f"{str(text)[:40]!r} is no time") from None


def g_per_kwh_of(value: object, factor: float = 1.0) -> float:
    """An intensity that a provider tells, times `factor`, in g/kWh.

    Raises:
        ValueRefused: it is no number, or no intensity.
    """
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise ValueRefused(f"{str(value)[:40]!r} is no number")
    try:
        return _check(value * factor)
    except OverflowError:
        raise ValueRefused(f"{str(value)[:40]}... g/kWh cannot be") from None


def _check(g_per_kwh: float) -> float:
    if not (isfinite(g_per_kwh) and 0 <= g_per_kwh <= MOST_G_PER_KWH):
        raise ValueRefused(f"{g_per_kwh:.6g} g/kWh cannot be: it must be 0 to {MOST_G_PER_KWH:.0f}")
    return float(g_per_kwh)


def hourly_means(moments: Iterable[Moment], expected: int) -> dict[int, tuple[float, bool]]:
    """By hour, the mean of its values, and whether it is an estimate: one of them is, or some are missing.

    Args:
        moments: the values; of the same time, the last counts.
        expected: how many make a whole hour.
    """
    by_hour: dict[int, dict[float, Moment]] = {}
    for moment in moments:
        by_hour.setdefault(hour_of(moment.time), {})[moment.time] = moment
    return {
        hour: (
            sum(each.g_per_kwh for each in parts.values()) / len(parts),
            len(parts) < expected or any(each.is_estimated for each in parts.values()),
        )
        for hour, parts in by_hour.items()
    }
