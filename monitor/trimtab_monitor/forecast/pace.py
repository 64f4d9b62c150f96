"""What a step takes from here on, of what steps took: the level now, and how sure it is.

Amounts a step (seconds, joules) come by stretches of steps. They are put into groups of about as many steps
each. Where the later ones lie elsewhere than the earlier ones, as after a change of batch size or of
machines, only the later ones count, and so on: the pace of now is what the rest is done at.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from trimtab_monitor.forecast.band import Draws
from trimtab_monitor.forecast.drift import drift_of

GROUPS: Final = 24
"""Into so many the stretches are put at most."""

LEAST_GROUPS: Final = 4
"""A change of pace is told of so many groups at least on both sides."""

PARTS: Final = (0.5, 0.75, 0.875)
"""The pace before such a part of the steps is held against that after it."""

MAD_TO_SIGMA: Final = 1.4826
MEDIAN_LOSS: Final = 1.2533
"""The error of a median is so many times that of a mean, sqrt(pi / 2)."""

APART: Final = 4.0
"""What lies so many times its error apart, and ..."""

LEAST_CHANGE: Final = 0.03
"""... by such a part of the level, are two paces."""

LEAST_RATE: Final = 0.1
"""However vague it is, a step takes such a part of what it took."""

MOST_CORRELATED: Final = 0.9
FAR: Final = 3.0


@dataclass(frozen=True, slots=True)
class Amount:
    """What `steps` steps took in all: seconds, or joules."""

    steps: float
    total: float


def grouped(amounts: Sequence[Amount], groups: int = GROUPS) -> list[Amount]:
    """Neighbours put together into at most so many groups of about as many steps each."""
    whole = sum(each.steps for each in amounts)
    out: list[Amount] = []
    steps = total = 0.0
    for each in amounts:
        steps, total = steps + each.steps, total + each.total
        if steps >= whole / groups * (1 - 1e-9):
            out.append(Amount(steps, total))
            steps = total = 0.0
    if steps > 0:
        out.append(Amount(steps, total))
    return out


def at_this_pace(amounts: Sequence[Amount]) -> list[Amount]:
    """The latest of the amounts, back to where the pace was another."""
    kept = list(amounts)
    while (change := _change(kept)) is not None:
        kept = kept[change:]
    return kept


def _change(amounts: Sequence[Amount]) -> int | None:
    """From where on the pace is another than before, None if it is not."""
    for part in PARTS:
        i = _index_at(amounts, part)
        earlier, later = (_rates(grouped(each, GROUPS // 2)) for each in (amounts[:i], amounts[i:]))
        if min(len(earlier), len(later)) >= LEAST_GROUPS and _differ(earlier, later):
            return i
    return None


def draw_rate(amounts: Sequence[Amount], steps_to_come: float, rng: np.random.Generator, size: int) -> Draws:
    """Draws of the mean amount a step over the steps to come, at the pace of now.

    The spread has two parts: how well the level is known from so many groups, fewer where neighbours are
    alike, and how much the groups to come will vary by themselves.
    """
    groups = grouped(at_this_pace(amounts))
    rates = _rates(groups)
    drift = _drift(grouped(amounts), steps_to_come, rng, size)
    sigma, alike = _sigma(rates), _correlation(rates)
    count = _as_if_apart(len(rates), alike)
    to_come = _as_if_apart(steps_to_come * len(groups) / sum(each.steps for each in groups), alike)
    known = sigma * MEDIAN_LOSS / np.sqrt(count) * rng.standard_t(max(1.0, count - 1.0), size)
    own = sigma / np.sqrt(to_come) * rng.standard_normal(size)
    level = float(np.median(rates)) if drift is None else drift
    drawn: Draws = np.maximum(level + known + own, LEAST_RATE * float(np.median(rates)))
    return drawn


def _drift(groups: Sequence[Amount], steps: float, rng: np.random.Generator, size: int) -> Draws | None:
    """Draws of the mean over the steps to come where the amount drifts, None where it does not."""
    found = drift_of(np.array([each.steps for each in groups]), _rates(groups))
    return None if found is None else found.now + found.draw(steps, rng, size)


def _as_if_apart(groups: float, alike: float) -> float:
    """So many groups, each like its neighbours, tell as much as how many that are not."""
    return max(1.0, groups * (1.0 - alike) / (1.0 + alike))


def _index_at(amounts: Sequence[Amount], part: float) -> int:
    """The index behind which such a part of the steps lies."""
    done = np.cumsum([each.steps for each in amounts])
    return int(np.searchsorted(done, done[-1] * part)) + 1


def _rates(groups: Sequence[Amount]) -> Draws:
    return np.array([each.total / each.steps for each in groups])


def _sigma(rates: Draws) -> float:
    """The spread of most of them: one group with a hiccup in it does not make the forecast vague."""
    middle = float(np.median(rates))
    near: float = FAR * MAD_TO_SIGMA * float(np.median(np.abs(rates - middle)))
    return float(np.std(np.clip(rates, middle - near, middle + near), ddof=1)) if len(rates) > 1 else middle


def _differ(earlier: Draws, later: Draws) -> bool:
    change = abs(float(np.median(later)) - float(np.median(earlier)))
    error = float(np.hypot(_error(earlier), _error(later)))
    return change > APART * error and change > LEAST_CHANGE * abs(float(np.median(later)))


def _error(rates: Draws) -> float:
    return float(MEDIAN_LOSS * _sigma(rates) / _as_if_apart(len(rates), _correlation(rates)) ** 0.5)


def _correlation(rates: Draws) -> float:
    """How alike neighbouring groups are, 0 to `MOST_CORRELATED`, without the bias of few (Kendall 1954)."""
    n = len(rates)
    off = rates - np.mean(rates)
    whole = float(off @ off)
    if n <= LEAST_GROUPS or whole <= 0.0:
        return 0.0
    found = float(off[1:] @ off[:-1]) / whole
    return min(MOST_CORRELATED, max(0.0, (n * found + 1.0) / (n - 3.0)))
