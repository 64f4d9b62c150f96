"""What is followed: each source gives the rows that are new since it was last asked."""

from __future__ import annotations

from pathlib import Path
from typing import Final, Protocol

from trimtab import wire
from trimtab_monitor.replay.readers.row import Note, Row
from trimtab_monitor.tail.formats import Wanted, rows_for
from trimtab_monitor.tail.growing import GrowingFile, Grown
from trimtab_monitor.tail.line_rows import LineRows
from trimtab_monitor.tail.lines import Lines
from trimtab_monitor.tail.steps import Placed, Steps

MANY: Final = 500
"""After so many lines without a row it is told that there is none."""


class Source(Protocol):
    """Something that grows; `path` is what people call it.

    `began_in` is the attempt that the file, as it is now, begins with.
    """

    path: Path
    began_in: int

    @property
    def modified(self) -> float:
        """When it last grew, Unix seconds."""

    def poll(self) -> list[Placed] | None:
        """Return the rows that are new; None: nothing is, and what was held back comes with `idle`.

        Raises:
            OSError: it cannot be read.
            NoRun: there is nothing in it that could be watched.
        """

    def idle(self, *, end: bool) -> list[Placed]:
        """Return what waited for more to come; `end`: nothing more is waited for."""

    def close(self) -> None:
        """Close what is open."""


class LineSource:
    """A file that grows by lines. Written anew, it goes on from its new beginning.

    Where what was written anew still has the last row (some loggers write all of their table each time), only
    what comes after that is new.
    """

    def __init__(self, path: Path, wanted: Wanted, note: Note) -> None:
        self.path = path
        self._wanted = wanted
        self._note = note
        self._file = GrowingFile(path)
        self._lines = Lines()
        self._rows: LineRows | None = None
        self._steps = Steps(str(path), note)
        self._last: Row | None = None
        self.began_in = 0
        self._begins = False
        self._told = False

    @property
    def modified(self) -> float:
        """When it last grew, Unix seconds."""
        return self._file.modified

    def poll(self) -> list[Placed] | None:
        """See Source."""
        grown = self._file.read()
        if grown is None:
            return None
        rows = self._read(grown)
        if grown.anew:
            rows = self._new_of(rows)
        placed = self._placed(rows)
        self._tell_if_none(MANY)
        return placed

    def idle(self, *, end: bool) -> list[Placed]:
        """See Source."""
        rows = self._made(self._lines.rest()) if end else []
        if self._rows is not None:
            rows += self._rows.idle()
        placed = self._placed(rows)
        if end:
            self._tell_if_none(1)
        return placed

    def close(self) -> None:
        """See Source."""
        self._file.close()

    def _tell_if_none(self, lines: int) -> None:
        """Say once that nothing was found in so many lines: the pattern may be wrong, or unknown."""
        if self._last is None and not self._told and self._lines.number >= lines:
            self._told = True
            self._note(
                f"{self.path}: none of {self._lines.number} lines tells a step so far; say how one is "
                r"written with --pattern, such as 'step (?P<step>\d+) loss (?P<loss>[\d.]+)'"
            )

    def _read(self, grown: Grown) -> list[Row]:
        if grown.anew:
            self._lines, self._rows = Lines(), None
        return self._made(self._lines.feed(grown.data))

    def _made(self, lines: list[tuple[int, str]]) -> list[Row]:
        if self._rows is None:
            if not lines:
                return []
            self._rows = rows_for(self.path, lines[0][1], self._wanted, self._note)
        return self._rows.feed(lines)

    def _new_of(self, rows: list[Row]) -> list[Row]:
        """Of rows that were written anew, those that are new."""
        known = [i for i, row in enumerate(rows) if self._last is not None and _alike(row, self._last)]
        if known:
            return rows[known[-1] + 1 :]
        if self._last is not None:
            self._note(f"{self.path}: was truncated or replaced: goes on from its new beginning")
        self._begins = True
        return rows

    def _placed(self, rows: list[Row]) -> list[Placed]:
        placed = []
        for row in (row for row in rows if row.values):
            place = self._steps.place(row)
            if place is not None:
                if self._begins:
                    self.began_in, self._begins = place.attempt, False
                placed.append(place)
                self._last = row
        return placed


def _alike(row: Row, other: Row) -> bool:
    """Whether a row is the same measurement, whatever columns it gained."""
    mine, theirs = row.values.get(wire.LOSS), other.values.get(wire.LOSS)
    same = mine == theirs or (mine is not None and mine != mine and theirs is not None and theirs != theirs)
    return row.step is not None and row.step == other.step and same
