"""Rows of tables that grow by lines: CSV with a header, and JSON Lines."""

from __future__ import annotations

import csv
from collections.abc import Sequence
from pathlib import Path
from typing import Final, Protocol

from trimtab import wire
from trimtab_monitor.replay.columns import Columns, UnreadableRun
from trimtab_monitor.replay.readers.csv_file import Layout, delimiter_of, layout_of, row_of
from trimtab_monitor.replay.readers.json_lines import object_of
from trimtab_monitor.replay.readers.objects import ObjectRows
from trimtab_monitor.replay.readers.row import Note, Row

PROBLEMS_TOLD: Final = 3


class LineRows(Protocol):
    """Makes rows of lines, in the order in which they were written."""

    def feed(self, lines: Sequence[tuple[int, str]]) -> list[Row]:
        """Return the rows that these lines give."""

    def idle(self) -> list[Row]:
        """Return what waited for more: nothing more comes for now."""


class Problems:
    """Tells what is wrong with the first lines that cannot be read, and counts the others."""

    def __init__(self, note: Note) -> None:
        self._note = note
        self.count = 0

    def add(self, error: UnreadableRun) -> None:
        """Pass over a line."""
        self.count += 1
        if self.count <= PROBLEMS_TOLD:
            more = "" if self.count < PROBLEMS_TOLD else "; further ones are counted, not told"
            self._note(f"{error} (passed over{more})")


class CsvRows:
    """Reads CSV by its header; one that comes again, or another one, begins the table again.

    Raises:
        NoRun: the header names no loss.
    """

    def __init__(self, path: Path, columns: Columns, note: Note) -> None:
        self._path = path
        self._columns = columns
        self._note = note
        self.problems = Problems(note)
        self._delimiter = ","
        self._header: list[str] = []
        self._layout: Layout | None = None

    def feed(self, lines: Sequence[tuple[int, str]]) -> list[Row]:
        """Return the rows that these lines give."""
        return [row for line, text in lines if (row := self._line(line, text)) is not None]

    def idle(self) -> list[Row]:
        """A line is whole: nothing waits."""
        return []

    def _line(self, line: int, text: str) -> Row | None:
        if self._layout is None:
            self._delimiter = delimiter_of(text)
        try:
            cells = next(csv.reader([text], delimiter=self._delimiter), [])
        except csv.Error as error:
            self.problems.add(UnreadableRun(self._path, line, f"is not CSV: {error}", "mend the line"))
            return None
        if self._layout is None:
            self._begin(cells)
        elif cells != self._header:
            return self._row(line, cells, self._layout)
        return None

    def _row(self, line: int, cells: list[str], layout: Layout) -> Row | None:
        try:
            return row_of(self._path, line, cells, layout)
        except UnreadableRun as error:
            if wire.LOSS not in self._columns.metrics(cells):
                self.problems.add(error)
                return None
        self._begin(cells)
        return None

    def _begin(self, header: list[str]) -> None:
        self._layout = layout_of(self._path, header, self._columns, self._note)
        self._header = header


class JsonRows:
    """Reads one JSON object a line."""

    def __init__(self, path: Path, columns: Columns, note: Note) -> None:
        self._path = path
        self._rows = ObjectRows(path, columns, note)
        self.problems = Problems(note)

    def feed(self, lines: Sequence[tuple[int, str]]) -> list[Row]:
        """Return the rows that these lines give."""
        return [row for line, text in lines if (row := self._line(line, text)) is not None]

    def idle(self) -> list[Row]:
        """A line is whole: nothing waits."""
        return []

    def _line(self, line: int, text: str) -> Row | None:
        try:
            return self._rows.row(line, object_of(self._path, line, text))
        except UnreadableRun as error:
            self.problems.add(error)
            return None
