"""Work that was done and thrown away: steps rolled back, their time and their energy.

A share of the total, never added to it. An interval that is lost twice (a rollback past an earlier one)
counts once, and readings of a lost interval that arrive after the rollback still count to it.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from trimtab_monitor.ledger.curve import EnergyCurve
from trimtab_monitor.ledger.units import EnergySum, Piece

_MAX_INTERVALS: Final = 256


@dataclass(slots=True)
class LostIntervals:
    """Lost stretches of time, apart and in order, [from, to) in microseconds, and the energy in them."""

    intervals: list[tuple[int, int]] = field(default_factory=list)
    energy: EnergySum = field(default_factory=EnergySum)

    def lose(self, from_us: int, to_us: int, curve: EnergyCurve) -> None:
        """The energy of this interval is lost, as far as it is not already."""
        for start_us, end_us in self._not_yet_lost(from_us, to_us):
            self.energy.add(curve.within(start_us, end_us))
        self.intervals = _joined([*self.intervals, (from_us, to_us)])

    def add(self, piece: Piece) -> None:
        """Take in energy that is told now; part of it may lie in an interval that was lost before."""
        for start_us, end_us in reversed(self.intervals):
            if end_us <= piece.start_us:
                return
            self.energy.add(piece.within(start_us, end_us))

    def _not_yet_lost(self, from_us: int, to_us: int) -> list[tuple[int, int]]:
        parts: list[tuple[int, int]] = []
        for start_us, end_us in self.intervals:
            if from_us < start_us:
                parts.append((from_us, min(start_us, to_us)))
            from_us = max(from_us, end_us)
        parts.append((from_us, to_us))
        return [(start_us, end_us) for start_us, end_us in parts if start_us < end_us]


def _joined(intervals: list[tuple[int, int]]) -> list[tuple[int, int]]:
    """Join what overlaps, and beyond a bound the two oldest: memory is bounded, nothing counts twice."""
    joined: list[tuple[int, int]] = []
    for start_us, end_us in sorted(intervals):
        if joined and start_us <= joined[-1][1]:
            joined[-1] = (joined[-1][0], max(joined[-1][1], end_us))
        else:
            joined.append((start_us, end_us))
    if len(joined) > _MAX_INTERVALS:
        joined[:2] = [(joined[0][0], joined[1][1])]
    return joined
