"""What a device used of late, kept so finely that it can be divided again when another turns out to hold it.

Reading by reading for half a minute (longer where it is shared), then by the minute, then by the hour of a
day: 2 kB a device. What is older is settled, and is not divided again.
"""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import chain
from typing import Final

from trimtab_monitor.ledger.units import HOUR_US, MINUTE_US

Used = tuple[int, int, int, int]
"""Start and length in microseconds, microjoules to divide, and those that are the run's own in any case."""

READINGS: Final = 32
READINGS_SHARED: Final = 192
MINUTES: Final = 32
HOURS: Final = 24


@dataclass(slots=True)
class Recent:
    """Energy by time, in order of time within each resolution. `settled_us`: what began before is settled."""

    readings: list[Used] = field(default_factory=list)
    minutes: list[Used] = field(default_factory=list)
    hours: list[Used] = field(default_factory=list)
    settled_us: int = 0

    def add(self, used: Used, cuts: Sequence[int], capacity: int) -> None:
        """Take in one more; what is joined to make room never reaches across a time in `cuts` (in order)."""
        if not self.readings or used >= self.readings[-1]:
            self.readings.append(used)
        else:
            insort(self.readings, used)
        while len(self.readings) > capacity:
            _join(self.minutes, self.readings.pop(0), MINUTE_US, cuts)
        if len(self.minutes) > MINUTES:
            _join(self.hours, self.minutes.pop(0), HOUR_US, cuts)
        if len(self.hours) > HOURS:
            start_us, length_us, _, _ = self.hours.pop(0)
            self.settled_us = max(self.settled_us, start_us + length_us)

    def all(self) -> Iterator[Used]:
        """All of it."""
        return chain(self.hours, self.minutes, self.readings)


def _join(kept: list[Used], used: Used, width_us: int, cuts: Sequence[int]) -> None:
    at = bisect_left(kept, used)
    for near in (at - 1, at):
        if 0 <= near < len(kept) and _bucket(kept[near], width_us, cuts) == _bucket(used, width_us, cuts):
            kept[near] = _sum(kept[near], used)
            return
    kept.insert(at, used)


def _bucket(used: Used, width_us: int, cuts: Sequence[int]) -> tuple[int, int, int]:
    start_us, length_us, _, _ = used
    after = bisect_left(cuts, start_us + 1) if cuts else 0
    before = bisect_left(cuts, start_us + length_us) if cuts else 0
    return start_us // width_us, after, before


def _sum(one: Used, other: Used) -> Used:
    start_us = min(one[0], other[0])
    end_us = max(one[0] + one[1], other[0] + other[1])
    return start_us, end_us - start_us, one[2] + other[2], one[3] + other[3]
