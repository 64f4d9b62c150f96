"""Stretches of time in which a run held a device, told from the times of its readings alone.

Readings no further apart than `BRIDGED_US` are of one stretch: a run that is back that soon never let go. The
collector's door and the ledger use the same rule, so each knows what the other knows; the order in which
readings come changes nothing.
"""

from __future__ import annotations

from bisect import bisect_right
from itertools import pairwise
from typing import Final

from trimtab_monitor.ledger.power import MAX_INTERVAL_US
from trimtab_monitor.ledger.units import MINUTE_US

Stretch = tuple[int, int]
"""[from, until), microseconds."""

BRIDGED_US: Final = 2 * MINUTE_US
MOST_STRETCHES: Final = 64
OPEN_US: Final = 10**17
"""The end of a stretch that goes on: beyond every time that is believed."""


def extend(stretches: list[Stretch], time_us: int) -> None:
    """There was a reading at this time."""
    if stretches and stretches[-1][0] <= time_us <= stretches[-1][1] + BRIDGED_US:
        start_us, end_us = stretches[-1]
        stretches[-1] = (start_us, max(end_us, time_us))
        return
    stretches[:] = joined(stretches, (time_us, time_us), BRIDGED_US)
    del stretches[:-MOST_STRETCHES]


def joined(stretches: list[Stretch], new: Stretch, bridged_us: int = 0) -> list[Stretch]:
    """With one more, those that it touches made one with it."""
    start_us, end_us = new
    apart = []
    for stretch in stretches:
        if stretch[1] + bridged_us < new[0] or new[1] + bridged_us < stretch[0]:
            apart.append(stretch)
        else:
            start_us, end_us = min(start_us, stretch[0]), max(end_us, stretch[1])
    return sorted([*apart, (start_us, end_us)])


def bridged(stretches: list[Stretch]) -> list[Stretch]:
    """With the time between them, where a counter that is read again tells what was used meanwhile."""
    bridged: list[Stretch] = []
    for stretch in stretches:
        if bridged and stretch[0] - bridged[-1][1] <= MAX_INTERVAL_US:
            bridged[-1] = (bridged[-1][0], stretch[1])
        else:
            bridged.append(stretch)
    return bridged


def changes(before: list[Stretch], after: list[Stretch]) -> list[Stretch]:
    """Where it makes a difference to have the one for the other."""
    return differences(before, after) + differences(bridged(before), bridged(after))


def union(stretches: list[Stretch]) -> list[Stretch]:
    """All of their time, each moment once."""
    united: list[Stretch] = []
    for start_us, end_us in sorted(stretches):
        if united and start_us <= united[-1][1]:
            united[-1] = (united[-1][0], max(united[-1][1], end_us))
        else:
            united.append((start_us, end_us))
    return united


def replaced(stretches: list[Stretch], new: Stretch) -> list[Stretch]:
    """With this one in place of all that it touches."""
    apart = [stretch for stretch in stretches if stretch[1] < new[0] or new[1] < stretch[0]]
    return sorted([*apart, new])[-MOST_STRETCHES:]


def covers(stretches: list[Stretch], from_us: int, until_us: int) -> bool:
    """Whether one of them holds all of this."""
    at = bisect_right(stretches, (from_us, OPEN_US)) - 1
    return at >= 0 and until_us <= stretches[at][1]


def overlap(one: Stretch, other: Stretch) -> Stretch | None:
    """What both hold; None if that is nothing."""
    start_us, end_us = max(one[0], other[0]), min(one[1], other[1])
    return (start_us, end_us) if start_us < end_us else None


def differences(before: list[Stretch], after: list[Stretch]) -> list[Stretch]:
    """Where one of two lists holds time that the other does not."""
    edges = sorted({edge for stretch in (*before, *after) for edge in stretch})
    return [
        (start_us, end_us)
        for start_us, end_us in pairwise(edges)
        if covers(before, start_us, end_us) != covers(after, start_us, end_us)
    ]
