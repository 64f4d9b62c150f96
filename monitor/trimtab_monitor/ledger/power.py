"""Power readings: which to believe, how they integrate, and how far from the truth that can be.

A reading is the mean over the window before it. Of a short time between two windows it is taken that the
power lay between the two readings. Equal readings are readings too: dropping them before a trapezoid is how
others turn 24,400 J into 110,200 J.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Final, NamedTuple

from trimtab_monitor.ledger.units import HOUR_US, MINUTE_US, SECOND_US

PLAUSIBLE_W: Final[Mapping[str, int]] = {
    "gpu": 1_500,
    "package": 800,
    "dram": 500,
    "module": 3_500,
    "host": 20_000,
}
"""The most that one device of a kind is built to draw, with room for what comes next."""

NONSENSE_FACTOR: Final = 3
"""A reading beyond this many times the most that a device may draw is an error, and left out."""

MAX_INTERVAL_US: Final = HOUR_US
"""Readings further apart than this are of different lives of the run, or the clock was set: nothing is said
of the time between them."""

MODELS: Final = frozenset(("model", "constant"))

LEAST_GAP_US: Final = 5 * SECOND_US
_FIRST_GAP_US: Final = MINUTE_US
_LONGEST_PERIOD_US: Final = MINUTE_US
_PERIODS_KEPT: Final = 5
_UNKNOWN_SEEN: Final = 0.25
"""The share of the time that a GPU's momentary power shows where the sensor does not say: the least found on
boards (A100, H100: 25 of 100 ms; SC24, "Accurate and Convenient Energy Measurements for GPUs")."""
_USUAL_UPDATE_US: Final = SECOND_US // 10
"""So often counters are renewed, and seen to be at the ends of a run, unless the driver is slow."""
_AVERAGE_ERROR: Final = 0.01
_IDLE_SHARE: Final = 0.15


@dataclass(frozen=True, slots=True)
class PowerField:
    """What a device's power readings are: how they are known, and what of the time they show.

    A reading is the mean over `window_us` (None: over the time since the reading before). `seen` is the share
    of the time that such windows cover however often one reads. It is renewed every `update_us`: so old may a
    reading be. `most_w` is the most that the device draws; it idles below `idle_w` (0: not known).
    """

    method: str = "model"
    window_us: int | None = None
    seen: float = 1.0
    most_w: float = 0.0
    idle_w: float = 0.0
    update_us: int = 0

    @property
    def stale_uj(self) -> int:
        """What may have been used at either end of a run since the readings there were renewed."""
        return 0 if self.method in MODELS else round(self.update_us * self.most_w)

    @property
    def blurred_uj(self) -> int:
        """What of a counter the moments of its first and last reading leave open: the driver is slow."""
        return round(max(0, self.update_us - _USUAL_UPDATE_US) * self.most_w)

    def is_checked_by(self, interval_us: int) -> bool:
        """Whether readings so far apart show enough of the time to find a counter wrong."""
        return self.method == "power_average" and interval_us <= 2 * (self.window_us or interval_us)


class Estimate(NamedTuple):
    """Energy in microjoules, and the interval that holds the truth."""

    energy_uj: int
    low_uj: int
    high_uj: int


def believed(
    power_w: float, component: str, util: float | None, limit_w: float | None = None
) -> float | None:
    """The reading, or None if it is nonsense: negative, not finite, too large, or 0 W on a GPU that works."""
    if not 0 <= power_w <= NONSENSE_FACTOR * most_w(component, limit_w):
        return None
    if power_w == 0 and component == "gpu" and util is not None and util > 0:
        return None
    return power_w


def most_w(component: str, limit_w: float | None) -> float:
    """The most that a device may draw: its own limit if it tells one that can be."""
    plausible_w = float(PLAUSIBLE_W[component])
    return plausible_w if limit_w is None or not 0 < limit_w <= 2 * plausible_w else limit_w


def seen_share(component: str, method: str, window_s: float | None, update_s: float | None) -> float:
    """The share of the time that readings can show, however often they are taken."""
    if method != "power_instant":
        return 1.0
    if window_s is not None and update_s is not None and window_s > 0 and update_s > 0:
        return min(1.0, window_s / update_s)
    return _UNKNOWN_SEEN if component in ("gpu", "module") else 1.0


def idle_below_w(component: str, limit_w: float | None) -> float:
    """A power below this was read of an idle device, which draws no less; 0 if its limit is not known."""
    return 0.0 if limit_w is None or most_w(component, limit_w) != limit_w else _IDLE_SHARE * limit_w


def estimate(
    field: PowerField, previous_w: float | None, current_w: float | None, interval_us: int, least_w: float
) -> Estimate | None:
    """The energy between two readings; where one is missing the other is held, without either None.

    Args:
        field: what the readings are.
        previous_w: the earlier reading.
        current_w: the later reading, which shows the end of the interval.
        interval_us: the time between them.
        least_w: the least that the device draws.
    """
    near_w = previous_w if current_w is None else current_w
    if near_w is None:
        return None
    if field.method in MODELS:
        modelled_uj = round(near_w * interval_us)
        return Estimate(modelled_uj, modelled_uj // 2, 2 * modelled_uj)
    if previous_w is None or current_w is None:
        return _held(field, near_w, interval_us, least_w)
    window_us = interval_us if field.window_us is None else min(field.window_us, interval_us)
    unseen_us = interval_us - window_us
    shown_uj = near_w * window_us
    energy_uj = shown_uj + (previous_w + near_w) / 2 * unseen_us
    energy_uj += _lag_uj(field, previous_w, near_w, interval_us)
    low_uj = shown_uj + min(previous_w, near_w) * unseen_us
    high_uj = shown_uj + max(previous_w, near_w) * unseen_us
    if field.method == "power_average":
        if unseen_us > window_us / 4:
            low_uj, high_uj = shown_uj + least_w * unseen_us, shown_uj + field.most_w * unseen_us
        slack_uj = _AVERAGE_ERROR * energy_uj + _overlap_uj(field, previous_w, near_w, interval_us)
        low_uj, high_uj = low_uj - slack_uj, high_uj + slack_uj
    return _seen(field, energy_uj, low_uj, high_uj, interval_us, least_w, max(near_w, previous_w))


def _held(field: PowerField, power_w: float, interval_us: int, least_w: float) -> Estimate:
    """At an edge: only the window before a reading was shown, if that, and anything may be in the rest."""
    energy_uj = power_w * interval_us
    most_uj = max(field.most_w, power_w) * interval_us
    return Estimate(round(energy_uj), round(min(least_w, power_w) * interval_us), math.ceil(most_uj))


def _lag_uj(field: PowerField, previous_w: float, near_w: float, interval_us: int) -> float:
    """What a reading whose window reaches back before the interval tells too little of a power that rises.

    The mean of what it says if power was even in its own window (nothing), and if it was even in the window
    before: then what both windows show is known, and taken off. Summed up that moves readings by half a
    window, by which they lag: a step of power is told exactly.
    """
    if field.method != "power_average" or field.window_us is None or field.window_us <= interval_us:
        return 0.0
    lag_uj = (near_w - previous_w) * (field.window_us - interval_us) / 2
    shown_uj = near_w * interval_us
    return min(max(lag_uj, -shown_uj), max(0.0, field.most_w * interval_us - shown_uj))


def _overlap_uj(field: PowerField, previous_w: float, near_w: float, interval_us: int) -> float:
    """What readings of overlapping windows may have of the time before, or lack of their own."""
    if field.window_us is None or field.window_us <= interval_us:
        return 0.0
    overlap_us = field.window_us - interval_us
    return abs(near_w - previous_w) * max(min(overlap_us, interval_us), overlap_us / 2)


def _seen(
    field: PowerField,
    energy_uj: float,
    low_uj: float,
    high_uj: float,
    interval_us: int,
    least_w: float,
    largest_w: float,
) -> Estimate:
    """Of the time that no reading can show, only the least and the most that the device draws are known."""
    unseen_us = (1 - field.seen) * interval_us
    low_uj = field.seen * low_uj + unseen_us * least_w
    high_uj = field.seen * high_uj + unseen_us * max(field.most_w, largest_w)
    whole_uj = round(energy_uj)
    return Estimate(whole_uj, max(0, min(whole_uj, math.floor(low_uj))), max(whole_uj, math.ceil(high_uj)))


def gap_limit_us(periods_us: Sequence[int]) -> int:
    """How far apart two power readings may be before the time between them is a gap.

    Three times the usual period (the median of the last few, at most a minute), at least 5 s; a minute while
    no period is known.
    """
    if not periods_us:
        return _FIRST_GAP_US
    return max(3 * min(usual_us(periods_us), _LONGEST_PERIOD_US), LEAST_GAP_US)


def usual_us(periods_us: Sequence[int]) -> int:
    """The usual period: the median of the last few."""
    return sorted(periods_us)[(len(periods_us) - 1) // 2]


def remember_period(periods_us: list[int], period_us: int) -> None:
    """Keep the last few periods."""
    periods_us.append(period_us)
    del periods_us[:-_PERIODS_KEPT]
