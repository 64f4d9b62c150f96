"""What an energy counter says between two readings: wraps, resets and nonsense told apart.

All of it in the counter's own integers, converted to microjoules once, at the edge.
"""

from __future__ import annotations

from fractions import Fraction
from functools import lru_cache
from typing import Final, Literal, NamedTuple

from trimtab_monitor.ledger.units import MICRO

_LARGEST_DENOMINATOR: Final = 10**9

Kind = Literal["advance", "ambiguous", "reset", "doubtful", "implausible"]

_CERTAIN_SHARE: Final = 0.8
_UNCERTAIN_SHARE: Final = 0.5


class Expected(NamedTuple):
    """The counts that power readings, or the counter's own rate before, suggest.

    `by_power`: from power known all the time in between. `is_sure`: from power that shows all the time, or
    that agreed with the counter so far. `is_dark`: nothing was read for longer than usual.
    """

    counts: int
    by_power: bool = False
    is_sure: bool = False
    is_dark: bool = False

    @property
    def least(self) -> float:
        """Fewer counts than this are not what a working counter shows."""
        return self.counts * (_CERTAIN_SHARE if self.is_sure else _UNCERTAIN_SHARE)


class Delta(NamedTuple):
    """The counts between two readings.

    advance: `counts` is the whole, over `wraps` wraps; a `highest` above it says that the counter may have
    begun again from 0 while nothing was read, or while power told of more. ambiguous: it may have wrapped
    more or less often; `counts` is the likeliest, or if `is_open` the least it can be. reset: it began again
    from 0, `counts` is what it counted since. doubtful: it advanced by `counts`, far less than expected, or
    began again from 0. implausible: no device draws that much, `counts` is 0.
    """

    kind: Kind
    counts: int
    wraps: int = 0
    lowest: int = 0
    highest: int = 0
    is_open: bool = False


def counter_delta(
    previous: int, current: int, range_: int | None, most: int, expected: Expected | None, may_lap: bool
) -> Delta:
    """Tell what happened between two readings of a counter.

    Args:
        previous: the earlier reading, in counts.
        current: the later reading, in counts.
        range_: where it wraps, in counts; None if it never does.
        most: more counts than the device can have used in between.
        expected: what other readings suggest, None if there are none.
        may_lap: whether the time between is long enough for more than one wrap.
    """
    advance = current - previous
    if range_ is not None and may_lap:
        return _lapped(advance % range_, int(advance < 0), range_, most, expected)
    if advance > most:
        return Delta("implausible", 0)
    if advance >= 0:
        return _advanced(advance, current, range_, most, expected)
    if range_ is not None and 0 <= advance + range_ <= most:
        return Delta("advance", advance + range_, wraps=1)
    return Delta("reset", current) if current <= most else Delta("implausible", 0)


def _advanced(advance: int, current: int, range_: int | None, most: int, expected: Expected | None) -> Delta:
    """A counter that advanced by far too little, and stands so low that it can have begun again since."""
    if range_ is not None or expected is None or current > most:
        return Delta("advance", advance)
    if advance >= expected.least:
        by_power = max(advance, expected.counts) if expected.by_power else 0
        return Delta("advance", advance, highest=most if expected.is_dark else by_power)
    return Delta("reset", current) if expected.by_power else Delta("doubtful", advance)


def _lapped(base: int, seen_wraps: int, range_: int, most: int, expected: Expected | None) -> Delta:
    """Choose the number of laps nearest to what is expected; say so where power did not tell all along."""
    if base > most:
        return Delta("implausible", 0)
    most_laps = (most - base) // range_
    highest = base + most_laps * range_
    if expected is None:
        return Delta("ambiguous", base, seen_wraps, base, highest, is_open=True)
    laps = min(max(0, round(Fraction(expected.counts - base, range_))), most_laps)
    counts = base + laps * range_
    if expected.by_power:
        return Delta("advance", counts, laps + seen_wraps)
    return Delta("ambiguous", counts, laps + seen_wraps, base, highest)


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
