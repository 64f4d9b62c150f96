"""The ledger's units: integer microjoules and microseconds, cut so that parts add up to the whole exactly.

A watt for a microsecond is a microjoule, so power integrates in them with no factor at all.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, NamedTuple

MICRO: Final = 1_000_000
JOULES_PER_KWH: Final = 3_600_000
SECOND_US: Final = MICRO
MINUTE_US: Final = 60 * MICRO
HOUR_US: Final = 3_600 * MICRO


def energy_in_words(joules: float) -> str:
    """Joules for people, as J, Wh, kWh or MWh.

    >>> energy_in_words(42_000), energy_in_words(7.2e9), energy_in_words(0.0498)
    ('11.67 Wh', '2.000 MWh', '0.0498 J')
    """
    kwh = joules / JOULES_PER_KWH
    if kwh < 0.001:
        return f"{joules:.3g} J" if 0 < joules < 1 else f"{joules:.1f} J"
    if kwh < 1:
        return f"{kwh * 1_000:.2f} Wh"
    return f"{kwh:,.3f} kWh" if kwh < 1_000 else f"{kwh / 1_000:,.3f} MWh"


def micros(seconds: float) -> int:
    """Seconds as whole microseconds."""
    return round(seconds * MICRO)


def portion(whole: int, start: int, end: int, from_: int, to: int) -> int:
    """What of `whole`, spread evenly over [start, end), lies in [from_, to).

    The difference of two floors: however [start, end) is cut, the portions add up to `whole`, and cutting
    finer and joining again changes nothing.
    """
    length = end - start
    lower, upper = max(from_, start) - start, min(to, end) - start
    if upper <= lower:
        return 0
    return whole * upper // length - whole * lower // length


class Piece(NamedTuple):
    """Energy of one device over one interval, and how it is known. `end_us` is after `start_us`.

    The truth lies in [`low_uj`, `high_uj`]. A correction of what was told before may be negative.
    """

    start_us: int
    end_us: int
    energy_uj: int
    method: str
    low_uj: int
    high_uj: int

    def negative(self) -> Piece:
        """What takes it back."""
        return Piece(self.start_us, self.end_us, -self.energy_uj, self.method, -self.low_uj, -self.high_uj)

    def within(self, from_us: int, to_us: int) -> int:
        """The microjoules that lie in [from_us, to_us)."""
        return portion(self.energy_uj, self.start_us, self.end_us, from_us, to_us)


@dataclass(slots=True)
class EnergySum:
    """A sum of energy that serialises at any size: a large cluster's microjoules outgrow 64 bits in weeks."""

    joules: int = 0
    microjoules: int = 0

    def add(self, energy_uj: int) -> None:
        """Add microjoules."""
        carried, self.microjoules = divmod(self.microjoules + energy_uj, MICRO)
        self.joules += carried

    @property
    def total_uj(self) -> int:
        """The sum in microjoules."""
        return self.joules * MICRO + self.microjoules
