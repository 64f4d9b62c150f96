"""A device's energy divided among the runs that hold it at the same time, in equal parts, as integers.

Of what n runs hold together the run that is i-th by name gets `part(whole, i, n)`, a difference of two
floors of the whole so far: the parts add up to the whole exactly, however its time is cut into readings. It
is kept by who held it together, so that all who did count alike.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Final

from trimtab_monitor.ledger.recent import READINGS, READINGS_SHARED, Recent, Used
from trimtab_monitor.ledger.stretches import (
    BRIDGED_US,
    OPEN_US,
    Stretch,
    bridged,
    changes,
    covers,
    extend,
    overlap,
    replaced,
    union,
)
from trimtab_monitor.ledger.units import Piece, portion

_TIME: Final = ""
"""The method under which held time is divided."""
_BETWEEN: Final = "\x1f"
MOST_GROUPS: Final = 64


def part(whole: int, index: int, of: int) -> int:
    """The part of the `index`-th of so many; all parts add up to the whole.

    >>> [part(100, index, 3) for index in range(3)]
    [33, 33, 34]
    """
    return whole * (index + 1) // of - whole * index // of


@dataclass(slots=True)
class Division:
    """Who held one device when, as far as this run (`me`) was told, and what others get of its energy.

    `own` and `others` are the stretches of time in which this run and others held it. `divided` holds what
    was divided by method and holders, in microjoules (time in microseconds), `others_uj` by method what is
    not this run's.
    """

    me: str = ""
    own: list[Stretch] = field(default_factory=list)
    others: dict[str, list[Stretch]] = field(default_factory=dict)
    divided: dict[str, int] = field(default_factory=dict)
    others_uj: dict[str, int] = field(default_factory=dict)
    recent: dict[str, Recent] = field(default_factory=dict)

    @property
    def is_shared(self) -> bool:
        """Whether others used or held it, as far as is known."""
        return bool(self.others or self.others_uj)

    @property
    def others_us(self) -> int:
        """The time for which others held it."""
        return self.others_uj.get(_TIME, 0)

    def read(self, time_us: int, held_share: float | None = None) -> list[Piece]:
        """This run read the device; `held_share` is the part of it that is allotted to the run, if known.

        Returns what it changes of energy that was counted before.
        """
        known_us = self.own[-1][1] if self.own else time_us
        goes_on = known_us < time_us <= known_us + BRIDGED_US
        if self.others and not (goes_on and self._counted_to_us() <= known_us):
            after = list(self.own)
            extend(after, time_us)
            return self._become(after, self.others)
        extend(self.own, time_us)
        if goes_on and held_share is not None:
            self._give(_TIME, round((time_us - known_us) * (1 - held_share)))
        elif goes_on and self.others:
            self._divide(_TIME, known_us, time_us, time_us - known_us)
        return []

    def add(self, piece: Piece, own_uj: int = 0, given_uj: int = 0) -> list[Piece]:
        """The run's own part of a piece: `own_uj`, and of what is neither that nor `given_uj` its part."""
        to_divide_uj = piece.energy_uj - own_uj - given_uj
        self._give(piece.method, given_uj)
        used = (piece.start_us, piece.end_us - piece.start_us, to_divide_uj, own_uj)
        capacity = READINGS_SHARED if self.others else READINGS
        recent = self.recent.get(piece.method)
        if recent is None:
            recent = self.recent[piece.method] = Recent()
        recent.add(used, self._cuts(), capacity)
        if not self.others:
            return [piece] if not given_uj else [_own(piece, own_uj + to_divide_uj)]
        mine = self._divide(piece.method, piece.start_us, piece.end_us, to_divide_uj)
        if own_uj:
            mine.append(Piece(piece.start_us, piece.end_us, own_uj, piece.method, own_uj, own_uj))
        return mine

    def hold(self, me: str, by: str, stretch: Stretch) -> list[Piece]:
        """Another run held the device for this time (`OPEN_US`: until told otherwise): what that changes."""
        self.me = me
        held = replaced(self.others.get(by, []), stretch)
        return self._become(self.own, {**self.others, by: held})

    def all(self) -> Iterator[Piece]:
        """All that is remembered as the run's own."""
        for method, recent in self.recent.items():
            for start_us, length_us, to_divide_uj, own_uj in recent.all():
                end_us = start_us + length_us
                for from_us, until_us, holders in self._segments(start_us, end_us):
                    uj = portion(to_divide_uj, start_us, end_us, from_us, until_us)
                    yield _exactly(from_us, until_us, self._mine(holders, uj), method)
                yield _exactly(start_us, end_us, own_uj, method)

    # --- inside ---

    def _become(self, own: list[Stretch], others: dict[str, list[Stretch]]) -> list[Piece]:
        """Who held it when turns out to be otherwise: divide again what is concerned."""
        changed = changes(self.own, own)
        for run, held in others.items():
            changed += changes(self.others.get(run, []), held)
        changed = union(changed)
        pieces = list(self._again(changed, -1))
        self.own, self.others = own, others
        return pieces + list(self._again(changed, 1))

    def _again(self, changed: list[Stretch], sign: int) -> Iterator[Piece]:
        """Take back (-1) or divide (1) what was used in this time, as it is held now."""
        for stretch in changed:
            for both in filter(None, (overlap(stretch, held) for held in self.own)):
                self._divide(_TIME, *both, sign * (both[1] - both[0]))
            for method, recent in self.recent.items():
                for used in recent.all():
                    yield from self._used_again(method, used, stretch, recent.settled_us, sign)

    def _used_again(
        self, method: str, used: Used, stretch: Stretch, settled_us: int, sign: int
    ) -> Iterator[Piece]:
        start_us, length_us, to_divide_uj, _ = used
        both = overlap((start_us, start_us + length_us), (max(stretch[0], settled_us), stretch[1]))
        if both is None:
            return
        for from_us, until_us, holders in self._segments(*both):
            uj = portion(to_divide_uj, start_us, start_us + length_us, from_us, until_us)
            yield _exactly(from_us, until_us, self._take(method, holders, sign * uj), method)

    def _divide(self, method: str, start_us: int, end_us: int, uj: int) -> list[Piece]:
        """Divide what was used evenly over [start, end)."""
        mine = []
        for from_us, until_us, holders in self._segments(start_us, end_us):
            taken_uj = self._take(method, holders, portion(uj, start_us, end_us, from_us, until_us))
            mine.append(_exactly(from_us, until_us, taken_uj, method))
        return mine

    def _segments(self, start_us: int, end_us: int) -> Iterator[tuple[int, int, tuple[str, ...]]]:
        """Cut [start, end) where somebody begins or ends to hold the device: (from, until, holders)."""
        inside = (edge for edge in self._edges() if start_us < edge < end_us)
        edges = sorted({start_us, *inside, end_us})
        for from_us, until_us in pairwise(edges):
            yield from_us, until_us, self._holders(from_us, until_us)

    def _holders(self, from_us: int, until_us: int) -> tuple[str, ...]:
        """Who held it in a time in which nobody began or ended; nobody: as much as this run alone.

        Where none did, those that were away and came back within the hour: their counters tell of it.
        """
        everybody = {**self.others, self.me: self.own}
        holders = [run for run, held in everybody.items() if covers(held, from_us, until_us)]
        if not holders:
            away = ((run, bridged(held)) for run, held in everybody.items())
            holders = [run for run, held in away if covers(held, from_us, until_us)]
        return () if holders == [self.me] else tuple(sorted(holders))

    def _take(self, method: str, holders: tuple[str, ...], uj: int) -> int:
        """Divide more (or, negative, less) of what these held; returns what of it is this run's."""
        if not holders:
            return uj
        if self.me not in holders:
            self._give(method, uj)
            return 0
        index, of = holders.index(self.me), len(holders)
        key = _BETWEEN.join((method, *holders))
        before = self.divided.pop(key, 0)
        self.divided[key] = before + uj
        if len(self.divided) > MOST_GROUPS:
            del self.divided[next(iter(self.divided))]
        mine = part(before + uj, index, of) - part(before, index, of)
        self._give(method, uj - mine)
        return mine

    def _mine(self, holders: tuple[str, ...], uj: int) -> int:
        if not holders:
            return uj
        return part(uj, holders.index(self.me), len(holders)) if self.me in holders else 0

    def _counted_to_us(self) -> int:
        """Up to when energy was counted."""
        last = (recent.readings[-1] for recent in self.recent.values() if recent.readings)
        return max((start_us + length_us for start_us, length_us, _, _ in last), default=0)

    def _give(self, method: str, uj: int) -> None:
        if uj:
            self.others_uj[method] = self.others_uj.get(method, 0) + uj

    def _edges(self) -> Iterator[int]:
        for stretches in (self.own, *self.others.values()):
            for stretch in stretches:
                yield from stretch

    def _cuts(self) -> list[int]:
        """The times across which what was used is kept apart."""
        if not self.others and len(self.own) <= 1:
            return []
        growing = self.own[-1][1] if self.own else OPEN_US
        return sorted({edge for edge in self._edges() if edge not in (growing, OPEN_US)})


def _own(piece: Piece, own_uj: int) -> Piece:
    """The run's own part of a piece, with as much of its interval."""
    whole = piece.energy_uj or 1
    low_uj, high_uj = piece.low_uj * own_uj // whole, piece.high_uj * own_uj // whole
    return Piece(piece.start_us, piece.end_us, own_uj, piece.method, low_uj, high_uj)


def _exactly(start_us: int, end_us: int, uj: int, method: str) -> Piece:
    return Piece(start_us, end_us, uj, method, uj, uj)
