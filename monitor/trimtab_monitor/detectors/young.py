"""Judges a series in its first samples, before its usual noise is known.

Its noise is taken from its second differences, which a steep fall does not enlarge, and made larger the fewer
there are. What a young series does must be so plain that no knowledge of its noise is needed.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from math import log, sqrt
from typing import Final

FEWEST_SAMPLES: Final = 4
"""Nothing can be said of a sample before so many others."""

NORMAL_MAD: Final = 1.4826
"""The standard deviation of Gaussian noise, in median absolute deviations."""

SECOND_DIFFERENCE: Final = sqrt(6.0)
"""The standard deviation of a second difference of independent noise, in that of the noise."""

FIRST_DIFFERENCE: Final = 0.5
"""The noise is at least so much of the median step from sample to sample."""

DISTRUST_SAMPLES: Final = 6.0
"""The noise is taken to be this larger, divided by the number of samples, than it seems."""

PLAIN_SIGMA: Final = 4.5
PLAIN_RISES: Final = 2.5
HUGE_SIGMA: Final = 10.0
HUGE_RISES: Final = 8.0
"""A plain rise counts when a second follows it, a huge one at once: so many times the least that is told."""

ACCEPT_SAMPLES: Final = 16
"""A level that a young series held for so long is its normal."""


@dataclass(frozen=True, slots=True)
class FirstLook:
    """A sample against the few before it: what they promised, and how far above that it is in sigma."""

    expected: float
    sigma: float
    score: float


def first_look(values: Sequence[float], value: float, floor: float) -> FirstLook:
    """Compare `value` with the last few of `values`, all in a unit in which noise is even.

    `floor` is the least noise that is believed. At least `FEWEST_SAMPLES` values are needed.

    >>> falling = [5.8, 5.7, 5.2, 4.3, 3.6, 3.4]
    >>> first_look(falling, 3.3, floor=0.01).score < 0.0 < first_look(falling, 5.3, floor=0.01).score
    True
    """
    steps = [after - before for before, after in pairwise(values)]
    bends = sorted(abs(after - before) for before, after in pairwise(steps))
    moves = sorted(map(abs, steps))
    seen = max(
        NORMAL_MAD * bends[len(bends) // 2] / SECOND_DIFFERENCE,
        FIRST_DIFFERENCE * moves[len(moves) // 2],
        floor,
    )
    sigma = seen * (1.0 + DISTRUST_SAMPLES / len(values))
    expected = sorted(values[-3:])[1]
    return FirstLook(expected, sigma, (value - expected) / sigma)


def stands_out(look: FirstLook, rise: float, min_rise: float, waiting: int) -> bool:
    """Whether the sample may be no noise. What has been told goes on until half of it is gone.

    `rise` is the logarithm of a ratio, `min_rise` a fraction.
    """
    share = 0.5 if waiting > 1 else 1.0
    return look.score >= share * PLAIN_SIGMA and rise >= share * log(1.0 + PLAIN_RISES * min_rise)


def is_huge(look: FirstLook, rise: float, min_rise: float) -> bool:
    """Whether one such sample is enough."""
    return look.score >= HUGE_SIGMA and rise >= log(1.0 + HUGE_RISES * min_rise)
