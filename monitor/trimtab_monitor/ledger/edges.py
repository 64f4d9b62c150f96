"""Where a run begins and ends: only what lies between is its energy.

Both moments may be heard of after the readings around them, and a run that ended may go on after all: then
what was counted of the last few seconds is counted anew.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from trimtab_monitor.ledger.tally import Entry, Tally, kept
from trimtab_monitor.ledger.units import SECOND_US, Piece

GRACE_US: Final = 5 * SECOND_US
"""A reading later than this after the end shows that the run goes on: only a living process reads sensors,
and one that ends takes its last reading within a second or two. One that early before the start is by another
clock."""

_MOST_RECENT: Final = 16


@dataclass(slots=True)
class Edges:
    """The beginning and the end of a run, as far as known, and what was told of the time around.

    `recent` is what was told last, uncut; `tallies` is what of all is the run's, by method.
    """

    begin_us: int | None = None
    end_us: int | None = None
    recent: list[Entry] = field(default_factory=list)
    tallies: dict[str, Tally] = field(default_factory=dict)

    def book(self, entry: Entry) -> list[Piece]:
        """Count of an entry what lies within the run."""
        recent = self.recent
        recent.append(entry)
        if recent[0].end_us < entry.end_us - GRACE_US or len(recent) > _MOST_RECENT:
            del recent[0]
        is_inside = self.end_us is None and (self.begin_us is None or self.begin_us <= entry.start_us)
        amount = entry.amount if is_inside else kept(entry, self.begin_us, self.end_us)
        return self._count(entry, amount, entry.start_us, entry.end_us)

    def count(self, entry: Entry) -> list[Piece]:
        """Count an entry that holds for the time being, and is taken back when more is known."""
        return self._count(entry, entry.amount, entry.start_us, entry.end_us)

    def move(self, begin_us: int | None, end_us: int | None) -> list[Piece]:
        """Count anew, by another beginning or end, what was told last."""
        told: list[Piece] = []
        for entry in self.recent:
            change = kept(entry, begin_us, end_us).less(kept(entry, self.begin_us, self.end_us))
            start_us, stop_us = _moved(entry, (self.begin_us, self.end_us), (begin_us, end_us))
            told += self._count(entry, change, start_us, stop_us)
        self.begin_us, self.end_us = begin_us, end_us
        return told

    def _count(self, entry: Entry, amount: Tally, start_us: int, end_us: int) -> list[Piece]:
        tally = self.tallies.get(entry.method)
        if tally is None:
            tally = self.tallies[entry.method] = Tally()
        tally.add(amount)
        if start_us >= end_us or not (amount.energy_uj or amount.low_uj or amount.high_uj):
            return []
        return [Piece(start_us, end_us, amount.energy_uj, entry.method, amount.low_uj, amount.high_uj)]


def _moved(
    entry: Entry, old: tuple[int | None, int | None], new: tuple[int | None, int | None]
) -> tuple[int, int]:
    """The part of an entry that came in or fell out as an edge moved."""
    begins = [entry.start_us if each[0] is None else each[0] for each in (old, new)]
    ends = [entry.end_us if each[1] is None else each[1] for each in (old, new)]
    low, high = (min(ends), max(ends)) if old[0] == new[0] else (min(begins), max(begins))
    start_us = min(max(entry.start_us, low), entry.end_us)
    return start_us, min(max(start_us, high), entry.end_us)
