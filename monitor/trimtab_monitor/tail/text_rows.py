"""Rows of a plain log, by the first of some patterns that matches several of its lines."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final

from trimtab.log_patterns import LogPattern, plain_text
from trimtab_monitor.replay.clock import time_in
from trimtab_monitor.replay.columns import Columns, UnreadableRun
from trimtab_monitor.replay.readers.objects import ObjectRows
from trimtab_monitor.replay.readers.row import Note, Row
from trimtab_monitor.tail.line_rows import Problems

SEVERAL: Final = 3
"""A pattern that has matched so many lines is taken."""

Found = tuple[int, float | None, dict[str, float]]
"""A line's number, the time that it was written with, and its values by name."""


class TextRows:
    """Reads lines. Until a pattern is taken, what each of them found is held back."""

    def __init__(self, path: Path, columns: Columns, patterns: Sequence[LogPattern], note: Note) -> None:
        self._path = path
        self._note = note
        self._rows = ObjectRows(path, columns, lambda _: None)
        self.problems = Problems(note)
        self._patterns = patterns
        self._taken = patterns[0] if len(patterns) == 1 else None
        self._held: dict[str, list[Found]] = {}
        self._last: dict[str, float] | None = None

    def feed(self, lines: Sequence[tuple[int, str]]) -> list[Row]:
        """Return the rows that these lines give."""
        found: list[Row] = []
        for number, line in lines:
            found += self._line(number, plain_text(line))
        return found

    def idle(self) -> list[Row]:
        """Nothing more comes for now: take the pattern that matched most, if any did."""
        if self._taken is not None or not self._held:
            return []
        most = max(self._patterns, key=lambda each: len(self._held.get(each.name, ())))
        return self._take(most)

    def _line(self, number: int, text: str) -> list[Row]:
        if self._taken is not None:
            values = self._taken.read(text)
            return self._row((number, time_in(text), values)) if values else []
        for pattern in self._patterns:
            values = pattern.read(text)
            if values:
                held = self._held.setdefault(pattern.name, [])
                held.append((number, time_in(text), values))
                return self._take(pattern) if len(held) >= SEVERAL else []
        return []

    def _take(self, pattern: LogPattern) -> list[Row]:
        self._taken = pattern
        self._note(f"{self._path}: read as {pattern.name}; choose with --pattern REGEX")
        held = self._held.pop(pattern.name)
        self._held.clear()
        return [row for found in held for row in self._row(found)]

    def _row(self, found: Found) -> list[Row]:
        number, time, values = found
        if values == self._last:  # a progress bar that is drawn again
            return []
        self._last = values
        try:
            row = self._rows.row(number, values)
        except UnreadableRun as error:
            self.problems.add(error)
            return []
        return [Row(number, row.step, row.values, time)]
