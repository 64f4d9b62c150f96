"""What an energy counter says between two readings: wraps, resets and nonsense told apart.

All of it in the counter's own integers, converted to microjoules once, at the edge.
"""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from typing import Final, Literal

from trimtab_monitor.ledger.units import MICRO

_LARGEST_DENOMINATOR: Final = 10**9

Kind = Literal["advance", "ambiguous", "reset", "implausible"]


@dataclass(frozen=True, slots=True)
class Delta:
    """The counts between two readings.

    advance: `counts` is the whole, over `wraps` wraps. ambiguous: it may have wrapped more often, `counts` is
    the least it can be. reset: it began again from 0, `counts` is what it counted since. implausible: no
    device draws that much, `counts` is 0.
    """

    kind: Kind
    counts: int
    wraps: int = 0


def counter_delta(
    previous: int, current: int, range_: int | None, most: int, expected: int | None, may_lap: bool
) -> Delta:
    """Tell what happened between two readings of a counter.

    Args:
        previous: the earlier reading, in counts.
        current: the later reading, in counts.
        range_: where it wraps, in counts; None if it never does.
        most: more counts than the device can have used in between.
        expected: the counts that power readings suggest, None if there are none.
        may_lap: whether the time between is long enough for more than one wrap.
    """
    advance = current - previous
    if range_ is not None and may_lap:
        return _lapped(advance % range_, int(advance < 0), range_, most, expected)
    if advance >= 0:
        return Delta("advance", advance) if advance <= most else Delta("implausible", 0)
    if range_ is not None and 0 <= advance + range_ <= most:
        return Delta("advance", advance + range_, wraps=1)
    return Delta("reset", current) if current <= most else Delta("implausible", 0)


def _lapped(base: int, seen_wraps: int, range_: int, most: int, expected: int | None) -> Delta:
    """Choose the number of laps nearest to what power says; without power, say that it is unknown."""
    if base > most:
        return Delta("implausible", 0)
    if expected is None:
        return Delta("ambiguous", base, wraps=seen_wraps)
    laps = max(0, round(Fraction(expected - base, range_)))
    laps = min(laps, (most - base) // range_)
    return Delta("advance", base + laps * range_, wraps=laps + seen_wraps)


@lru_cache(maxsize=256)
def unit_uj(counter_unit_j: float) -> Fraction:
    """Microjoules of one count, exact for the decimal as written: 1.52587890625e-05 J is 15625/1024.

    The denominator is kept under 10^9, so that what is left over of a division fits in 64 bits.
    """
    return (Fraction(str(counter_unit_j)) * MICRO).limit_denominator(_LARGEST_DENOMINATOR)


def to_microjoules(counts: int, unit: Fraction, carry: int) -> tuple[int, int]:
    """Counts as whole microjoules, and what is left over to carry (in 1/denominator of a microjoule)."""
    return divmod(counts * unit.numerator + carry, unit.denominator)


def to_counts(energy_uj: int, unit: Fraction) -> int:
    """Microjoules as counts, rounded down."""
    return energy_uj * unit.denominator // unit.numerator
