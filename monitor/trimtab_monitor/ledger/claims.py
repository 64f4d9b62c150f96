"""Energy of stretches of time that have a name, such as the work that was lost by a restart.

A share of the total, never added to it. A moment has one name, the first that was given to it; readings of a
named stretch that arrive later still count to it.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

from trimtab_monitor.ledger.curve import Bins, EnergyCurve
from trimtab_monitor.ledger.units import HOUR_US, EnergySum, Piece

MOST_STRETCHES: Final = 256

Named = tuple[int, int, str]
"""[from, until) in microseconds, and its name."""


def _hours() -> Bins:
    return Bins(HOUR_US, 8_784)


@dataclass(slots=True)
class Claims:
    """Named stretches of time, apart and in order; their energy by name and by hour, and their length."""

    stretches: list[Named] = field(default_factory=list)
    energy: dict[str, EnergySum] = field(default_factory=dict)
    length_us: dict[str, int] = field(default_factory=dict)
    hours: Bins = field(default_factory=_hours)

    @property
    def total_uj(self) -> int:
        """The energy of all of them."""
        return sum(energy.total_uj for energy in self.energy.values())

    def of(self, name: str) -> int:
        """The energy of those of one name."""
        return self.energy[name].total_uj if name in self.energy else 0

    @property
    def total_us(self) -> int:
        """How long all of them are."""
        return sum(self.length_us.values())

    def claim(self, from_us: int, until_us: int, name: str, curve: EnergyCurve) -> None:
        """This time has a name, as far as it has none already."""
        for start_us, end_us in self._not_yet(from_us, until_us):
            self.length_us[name] = self.length_us.get(name, 0) + end_us - start_us
            for first_us, last_us in _by_hour(start_us, end_us, curve):
                uj = curve.within(first_us, last_us)
                self._count(Piece(first_us, last_us, uj, "", uj, uj), name)
            self.stretches = _joined([*self.stretches, (start_us, end_us, name)])

    def add(self, piece: Piece) -> None:
        """Take in energy that is told now; part of it may lie in time that has a name."""
        for start_us, end_us, name in reversed(self.stretches):
            if end_us <= piece.start_us:
                return
            first_us, last_us = max(start_us, piece.start_us), min(end_us, piece.end_us)
            if first_us < last_us:
                uj = piece.within(first_us, last_us)
                self._count(Piece(first_us, last_us, uj, "", uj, uj), name)

    def _count(self, piece: Piece, name: str) -> None:
        if piece.energy_uj:
            self.energy.setdefault(name, EnergySum()).add(piece.energy_uj)
            self.hours.add(piece)

    def _not_yet(self, from_us: int, until_us: int) -> list[tuple[int, int]]:
        parts: list[tuple[int, int]] = []
        for start_us, end_us, _ in self.stretches:
            if from_us < start_us:
                parts.append((from_us, min(start_us, until_us)))
            from_us = max(from_us, end_us)
        parts.append((from_us, until_us))
        return [(start_us, end_us) for start_us, end_us in parts if start_us < end_us]


def _by_hour(start_us: int, end_us: int, curve: EnergyCurve) -> Iterator[tuple[int, int]]:
    """[start, end) by the hour, as far as any energy is known of the hour."""
    hours = curve.hours.bins
    first = bisect_left(hours, start_us // HOUR_US)
    for hour in hours[first : bisect_left(hours, -(-end_us // HOUR_US))]:
        yield max(start_us, hour * HOUR_US), min(end_us, (hour + 1) * HOUR_US)


def _joined(stretches: list[Named]) -> list[Named]:
    """Join what touches and has one name, and beyond a bound the two oldest: memory is bounded."""
    joined: list[Named] = []
    for start_us, end_us, name in sorted(stretches):
        if joined and start_us == joined[-1][1] and name == joined[-1][2]:
            joined[-1] = (joined[-1][0], end_us, name)
        else:
            joined.append((start_us, end_us, name))
    if len(joined) > MOST_STRETCHES:
        joined[:2] = [(joined[0][0], joined[1][1], joined[0][2])]
    return joined
