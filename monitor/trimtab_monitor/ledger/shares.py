"""A device that others use too: what of its energy is this job's own, as its sensor tells the job's shares.

E_own = E_active * used + E_idle * held

Idle power goes to who holds the device, what it draws beyond that to who uses it. An estimate: two kinds of
work of equal share need not draw equal power.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from trimtab import wire
from trimtab_monitor.ledger.units import Piece, micros

_LOW_QUANTILE: Final = 0.01
_MOST_IDLE: Final = 0.25
_BINS_PER_OCTAVE: Final = 16


@dataclass(frozen=True, slots=True)
class Shares:
    """This job's part of a device's activity and of the device, 0 to 1; None is not known."""

    used: float | None = None
    held: float | None = None


NOT_KNOWN: Final = Shares()


def shares_of(device: wire.Device) -> Mapping[int, Shares]:
    """The shares by the time of their reading, in microseconds; empty where none are told."""
    if device.used_share is None and device.held_share is None:
        return {}
    rows = range(len(device.time))
    return {
        micros(device.time[row]): Shares(_at(device.used_share, row), _at(device.held_share, row))
        for row in rows
        if math.isfinite(device.time[row])
    }


@dataclass(slots=True)
class IdlePower:
    """What a device draws at rest: the power that it stays under for 1 % of the time seen.

    Not its least ever, which one false reading would set; and never above a quarter of its limit (of the
    most it was seen to draw, where that is not known): a run that begins under load has not seen it at rest.
    `seen_us` is the time by power, in sixteenths of a doubling.
    """

    seen_us: dict[int, int] = field(default_factory=dict)
    limit_w: float | None = None

    def see(self, piece: Piece) -> None:
        """Take in a piece of the whole device's energy."""
        if piece.energy_uj > 0:
            length_us = piece.end_us - piece.start_us
            bin_ = math.floor(_BINS_PER_OCTAVE * math.log2(piece.energy_uj / length_us))
            self.seen_us[bin_] = self.seen_us.get(bin_, 0) + length_us

    def watts(self) -> float:
        """The estimate, 0 where nothing was seen."""
        if not self.seen_us:
            return 0.0
        most_w = _watts(max(self.seen_us)) if self.limit_w is None else self.limit_w
        return min(self._low_w(), _MOST_IDLE * most_w)

    def _low_w(self) -> float:
        left_us = _LOW_QUANTILE * sum(self.seen_us.values())
        for bin_ in sorted(self.seen_us):
            left_us -= self.seen_us[bin_]
            if left_us <= 0:
                break
        return _watts(bin_)


def split(piece: Piece, shares: Shares, idle_w: float) -> tuple[int, int]:
    """The microjoules of a piece that are this job's and those that are others', by its shares.

    What is left of it is to be divided among those that hold the device: all of it where no share is known,
    idle energy where only the use is. A negative piece takes back as much as one of its size would give.
    """
    if shares.held is None and shares.used is None:
        return 0, 0
    size_uj = abs(piece.energy_uj)
    sign = 1 if piece.energy_uj >= 0 else -1
    idle_uj = min(size_uj, round(idle_w * (piece.end_us - piece.start_us)))
    used = shares.held if shares.used is None else shares.used
    assert used is not None
    own_uj = round((size_uj - idle_uj) * used)
    given_uj = size_uj - idle_uj - own_uj
    if shares.held is not None:
        held_uj = round(idle_uj * shares.held)
        own_uj, given_uj = own_uj + held_uj, given_uj + idle_uj - held_uj
    return sign * own_uj, sign * given_uj


def _at(column: object, row: int) -> float | None:
    value = None if column is None else column[row]  # type: ignore[index]
    return value if value is not None and wire.is_measured(value) else None


def _watts(bin_: int) -> float:
    """The middle of a bin."""
    return float(2 ** ((bin_ + 0.5) / _BINS_PER_OCTAVE))
