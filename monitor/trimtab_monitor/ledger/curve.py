"""Energy over time, in bounded memory: seconds of late, minutes of the last day, hours of the last year.

Kept so that carbon can be worked out by the hour afterwards, and so that the energy of an interval that turns
out to be lost can be told when it is.
"""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass, field
from itertools import pairwise

from trimtab_monitor.ledger.units import HOUR_US, MINUTE_US, SECOND_US, EnergySum, Piece, portion


@dataclass(slots=True)
class Bins:
    """Energy in bins of one width: the latest `capacity` of them, what is older in one sum.

    `bins` are in order, `energy_uj` is that of each. What is held does not depend on the order in which
    pieces come. `floor` is the first bin that is still told apart, None if all are.
    """

    width_us: int
    capacity: int
    bins: list[int] = field(default_factory=list)
    energy_uj: list[int] = field(default_factory=list)
    floor: int | None = None
    earlier: EnergySum = field(default_factory=EnergySum)

    def add(self, piece: Piece) -> None:
        """Spread a piece over the bins that it touches."""
        width = self.width_us
        first, last = piece.start_us // width, (piece.end_us - 1) // width
        if first == last:
            self._add(first, piece.energy_uj)
            return
        for bin_ in range(first, last + 1):
            if bin_ > first and self.bins and self.bins[-1] < bin_:
                self._append(bin_, last, piece)
                return
            self._add(bin_, piece.within(bin_ * width, (bin_ + 1) * width))

    def within(self, from_us: int, to_us: int, extent: tuple[int, int]) -> int:
        """The microjoules in [from_us, to_us), of what is still told apart.

        Within a bin energy counts as evenly spread over that part of it which lies in `extent`, the time of
        which anything is known.
        """
        first = bisect_left(self.bins, from_us // self.width_us)
        last = bisect_left(self.bins, -(-to_us // self.width_us))
        energy_uj = 0
        for bin_, in_bin_uj in zip(self.bins[first:last], self.energy_uj[first:last], strict=True):
            start_us = max(bin_ * self.width_us, extent[0])
            end_us = min((bin_ + 1) * self.width_us, extent[1])
            energy_uj += portion(in_bin_uj, start_us, end_us, from_us, to_us)
        return energy_uj

    def told_apart_from(self, coarser_us: int) -> int | None:
        """The first bound of a coarser bin from which on all is told apart; None if all ever was."""
        return None if self.floor is None else -(-self.floor * self.width_us // coarser_us) * coarser_us

    def _append(self, first: int, last: int, piece: Piece) -> None:
        """Spread the rest of a piece over bins that come after all others, as hours of late readings do."""
        whole, length_us = piece.energy_uj, piece.end_us - piece.start_us
        begins_us = (bin_ * self.width_us - piece.start_us for bin_ in range(first, last + 1))
        bounds = [*(whole * begin_us // length_us for begin_us in begins_us), whole]
        self.bins.extend(range(first, last + 1))
        self.energy_uj.extend(high - low for low, high in pairwise(bounds))
        too_many = len(self.bins) - self.capacity
        if too_many > 0:
            self.floor = self.bins[too_many - 1] + 1
            self.earlier.add(sum(self.energy_uj[:too_many]))
            del self.bins[:too_many], self.energy_uj[:too_many]

    def _add(self, bin_: int, energy_uj: int) -> None:
        if self.bins and self.bins[-1] == bin_:
            self.energy_uj[-1] += energy_uj
            return
        if self.floor is not None and bin_ < self.floor:
            self.earlier.add(energy_uj)
            return
        at = bisect_left(self.bins, bin_)
        if at < len(self.bins) and self.bins[at] == bin_:
            self.energy_uj[at] += energy_uj
            return
        self.bins.insert(at, bin_)
        self.energy_uj.insert(at, energy_uj)
        if len(self.bins) > self.capacity:
            self.floor = self.bins.pop(0) + 1
            self.earlier.add(self.energy_uj.pop(0))


@dataclass(slots=True)
class EnergyCurve:
    """Energy over time at three resolutions, each told of every piece; from `start_us` to `end_us`."""

    seconds: Bins = field(default_factory=lambda: Bins(SECOND_US, 600))
    minutes: Bins = field(default_factory=lambda: Bins(MINUTE_US, 1_440))
    hours: Bins = field(default_factory=lambda: Bins(HOUR_US, 8_784))
    start_us: int | None = None
    end_us: int | None = None

    def add(self, piece: Piece) -> None:
        """Add a piece of energy."""
        if self.start_us is None or piece.start_us < self.start_us:
            self.start_us = piece.start_us
        if self.end_us is None or piece.end_us > self.end_us:
            self.end_us = piece.end_us
        for bins in (self.seconds, self.minutes, self.hours):
            bins.add(piece)

    def within(self, from_us: int, to_us: int) -> int:
        """The microjoules in [from_us, to_us), as finely as is still known."""
        if self.start_us is None or self.end_us is None:
            return 0
        extent = (self.start_us, self.end_us)
        minutes_from = _or(self.minutes.told_apart_from(HOUR_US), from_us)
        seconds_from = max(minutes_from, _or(self.seconds.told_apart_from(MINUTE_US), from_us))
        return (
            self.hours.within(from_us, min(to_us, minutes_from), extent)
            + self.minutes.within(max(from_us, minutes_from), min(to_us, seconds_from), extent)
            + self.seconds.within(max(from_us, seconds_from), to_us, extent)
        )


def _or(value: int | None, other: int) -> int:
    return other if value is None else value
