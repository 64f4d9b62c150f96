"""Energy over time, in bounded memory: seconds of late, minutes of the last day, hours of the last year.

Kept so that carbon can be worked out by the hour afterwards, and so that the energy of an interval that turns
out to be lost can be told when it is.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from trimtab_monitor.ledger.units import HOUR_US, MINUTE_US, SECOND_US, EnergySum, Piece, portion


@dataclass(slots=True)
class Bins:
    """Energy in bins of one width: the latest `capacity` of them, what is older in one sum.

    What it holds does not depend on the order in which pieces come. `floor` is the first bin that is still
    told apart, None if all are.
    """

    width_us: int
    capacity: int
    energy_uj: dict[int, int] = field(default_factory=dict)
    floor: int | None = None
    earlier: EnergySum = field(default_factory=EnergySum)

    def add(self, piece: Piece) -> None:
        """Spread a piece over the bins that it touches."""
        width = self.width_us
        for bin_ in range(piece.start_us // width, (piece.end_us - 1) // width + 1):
            self._add(bin_, piece.within(bin_ * width, (bin_ + 1) * width))

    def _add(self, bin_: int, energy_uj: int) -> None:
        if self.floor is not None and bin_ < self.floor:
            self.earlier.add(energy_uj)
            return
        self.energy_uj[bin_] = self.energy_uj.get(bin_, 0) + energy_uj
        if len(self.energy_uj) > self.capacity:
            oldest = min(self.energy_uj)
            self.earlier.add(self.energy_uj.pop(oldest))
            self.floor = oldest + 1

    def within(self, from_us: int, to_us: int) -> int:
        """The microjoules in [from_us, to_us), even within a bin; what is older than `floor` is not in it."""
        width = self.width_us
        if to_us <= from_us:
            return 0
        first, last = from_us // width, (to_us - 1) // width
        touched = (bin_ for bin_ in self.energy_uj if first <= bin_ <= last)
        return sum(
            portion(self.energy_uj[bin_], bin_ * width, (bin_ + 1) * width, from_us, to_us)
            for bin_ in touched
        )

    def whole_from(self, coarser_us: int) -> int | None:
        """The first bound of a coarser bin from which on all is told apart; None if all ever was."""
        return None if self.floor is None else -(-self.floor * self.width_us // coarser_us) * coarser_us


@dataclass(slots=True)
class EnergyCurve:
    """Energy over time at three resolutions, each told of every piece."""

    seconds: Bins = field(default_factory=lambda: Bins(SECOND_US, 600))
    minutes: Bins = field(default_factory=lambda: Bins(MINUTE_US, 1_440))
    hours: Bins = field(default_factory=lambda: Bins(HOUR_US, 8_784))

    def add(self, piece: Piece) -> None:
        """Add a piece of energy."""
        for bins in (self.seconds, self.minutes, self.hours):
            bins.add(piece)

    def within(self, from_us: int, to_us: int) -> int:
        """The microjoules in [from_us, to_us), as finely as is still known."""
        minutes_from = _or(self.minutes.whole_from(HOUR_US), from_us)
        seconds_from = max(minutes_from, _or(self.seconds.whole_from(MINUTE_US), from_us))
        return (
            self.hours.within(from_us, min(to_us, minutes_from))
            + self.minutes.within(max(from_us, minutes_from), min(to_us, seconds_from))
            + self.seconds.within(max(from_us, seconds_from), to_us)
        )


def _or(value: int | None, other: int) -> int:
    return other if value is None else value
