"""Power readings: which to believe, and how they integrate.

A field that is an average over its own period is a rectangle, an instant one a trapezoid. Equal readings are
readings too: dropping them before a trapezoid is how others turn 24,400 J into 110,200 J.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Final

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
"""A reading beyond this many times `PLAUSIBLE_W` is an error of the sensor and is left out."""

MAX_INTERVAL_US: Final = HOUR_US
"""Readings further apart than this are of different lives of the run, or the clock was set: nothing is said
of the time between them."""

_LEAST_GAP_US: Final = 5 * SECOND_US
_FIRST_GAP_US: Final = MINUTE_US
_LONGEST_PERIOD_US: Final = MINUTE_US
_PERIODS_KEPT: Final = 5


def believed(power_w: float, component: str, util: float | None) -> float | None:
    """The reading, or None if it is nonsense: negative, not finite, too large, or 0 W on a GPU that works."""
    if not math.isfinite(power_w) or not 0 <= power_w <= NONSENSE_FACTOR * PLAUSIBLE_W[component]:
        return None
    if power_w == 0 and component == "gpu" and util is not None and util > 0:
        return None
    return power_w


def mean_power_w(method: str, previous_w: float | None, current_w: float | None) -> float | None:
    """Mean power between two readings; where one is missing the other is held, without either None.

    Only an instant reading says nothing of the time before it: averages, models and constants hold for it.
    """
    if previous_w is None or (method != "power_instant" and current_w is not None):
        return current_w
    if current_w is None:
        return previous_w
    return (previous_w + current_w) / 2


def gap_limit_us(periods_us: Sequence[int]) -> int:
    """How far apart two power readings may be before the time between them is a gap.

    Three times the usual period (the median of the last few, at most a minute), at least 5 s; a minute while
    no period is known.
    """
    if not periods_us:
        return _FIRST_GAP_US
    usual = sorted(periods_us)[(len(periods_us) - 1) // 2]
    return max(3 * min(usual, _LONGEST_PERIOD_US), _LEAST_GAP_US)


def remember_period(periods_us: list[int], period_us: int) -> None:
    """Keep the last few periods."""
    periods_us.append(period_us)
    del periods_us[:-_PERIODS_KEPT]
