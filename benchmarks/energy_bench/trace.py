"""The power of a device over time, as a script says it, and its true energy in any interval, exactly."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Protocol


class Piece(Protocol):
    """Power over a part of a trace, from `start_s` to `end_s`."""

    @property
    def start_s(self) -> float:
        """Second at which it begins."""
        ...

    @property
    def end_s(self) -> float:
        """Second at which it is over."""
        ...

    def power_w(self, at_s: float) -> float:
        """Power at a time within the piece."""
        ...

    def energy_j(self, start_s: float, end_s: float) -> float:
        """Energy between two times within the piece."""
        ...

    def line(self) -> str:
        """The directive of the driver's script."""
        ...


@dataclass(frozen=True, slots=True)
class Ramp:
    """Power along a straight line; constant where it ends as it starts."""

    start_s: float
    end_s: float
    from_w: float
    to_w: float

    def power_w(self, at_s: float) -> float:
        """Power at a time."""
        return self.from_w + (self.to_w - self.from_w) * (at_s - self.start_s) / (self.end_s - self.start_s)

    def energy_j(self, start_s: float, end_s: float) -> float:
        """Energy between two times."""
        return (self.power_w(start_s) + self.power_w(end_s)) / 2 * (end_s - start_s)

    def line(self) -> str:
        """The directive."""
        return f"ramp {self.start_s!r} {self.end_s!r} {self.from_w!r} {self.to_w!r}"


@dataclass(frozen=True, slots=True)
class Wave:
    """A square wave: `high_w` for `share` of each period since the start, `low_w` for the rest."""

    start_s: float
    end_s: float
    period_s: float
    share: float
    high_w: float
    low_w: float

    def power_w(self, at_s: float) -> float:
        """Power at a time."""
        is_high = math.fmod(at_s - self.start_s, self.period_s) < self.share * self.period_s
        return self.high_w if is_high else self.low_w

    def energy_j(self, start_s: float, end_s: float) -> float:
        """Energy between two times."""
        return self._since_start(end_s) - self._since_start(start_s)

    def _since_start(self, at_s: float) -> float:
        high_s = self.share * self.period_s
        whole, rest = divmod(at_s - self.start_s, self.period_s)
        a_period = self.high_w * high_s + self.low_w * (self.period_s - high_s)
        return whole * a_period + self.high_w * min(rest, high_s) + self.low_w * max(0.0, rest - high_s)

    def line(self) -> str:
        """The directive."""
        return (
            f"wave {self.start_s!r} {self.end_s!r} {self.period_s!r} {self.share!r} "
            f"{self.high_w!r} {self.low_w!r}"
        )


@dataclass(frozen=True, slots=True)
class Trace:
    """Pieces that do not overlap, in order; outside of them the device draws `idle_w`."""

    pieces: tuple[Piece, ...]
    idle_w: float = 60.0

    @property
    def end_s(self) -> float:
        """When the last piece ends."""
        return max(piece.end_s for piece in self.pieces)

    def power_w(self, at_s: float) -> float:
        """Return the true power at a time."""
        for piece in self.pieces:
            if piece.start_s <= at_s < piece.end_s:
                return piece.power_w(at_s)
        return self.idle_w

    def energy_j(self, start_s: float, end_s: float) -> float:
        """Return the true energy between two times.

        >>> Trace((Ramp(0.0, 10.0, 100.0, 100.0), Wave(10.0, 20.0, 1.0, 0.8, 650.0, 250.0))).energy_j(
        ...     5.0, 12.0
        ... )
        1640.0
        """
        if end_s < start_s:
            return -self.energy_j(end_s, start_s)
        joules, outside_s = 0.0, end_s - start_s
        for piece in self.pieces:
            first, last = max(start_s, piece.start_s), min(end_s, piece.end_s)
            if first < last:
                joules += piece.energy_j(first, last)
                outside_s -= last - first
        return joules + self.idle_w * outside_s


def steps(*levels: tuple[float, float], idle_w: float = 60.0) -> Trace:
    """Make a trace of levels, each of (seconds, watts), one after another from second 0.

    >>> steps((10, 100), (5, 700)).energy_j(0, 15)
    4500.0
    """
    pieces: list[Piece] = []
    start_s = 0.0
    for seconds, watts in levels:
        pieces.append(Ramp(start_s, start_s + seconds, watts, watts))
        start_s += seconds
    return Trace(tuple(pieces), idle_w)


def wave(seconds: float, period_s: float, share: float, high_w: float, low_w: float) -> Trace:
    """Make a trace of one square wave."""
    return Trace((Wave(0.0, seconds, period_s, share, high_w, low_w),))
