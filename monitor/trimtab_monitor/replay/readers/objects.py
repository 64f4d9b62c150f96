"""Rows that are JSON objects: the same metric may stand in some of them only."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

from trimtab import wire
from trimtab_monitor.replay.clock import unix_seconds
from trimtab_monitor.replay.columns import (
    Columns,
    NoRun,
    UnreadableRun,
    no_loss,
    no_such,
    shown,
    whole_step,
)
from trimtab_monitor.replay.readers.row import Note, Row

NAMES_KEPT = 1000

ROWS_TRIED = 10_000
"""Where so many rows have no loss, none is to come: it is a file of something else, and may be huge."""


@dataclass(slots=True)
class ObjectRows:
    """Makes rows of objects, by the names under which step and metrics were first seen."""

    path: Path
    columns: Columns
    note: Note
    found: dict[str, str] = field(default_factory=dict)
    seen: set[str] = field(default_factory=set)
    step_name: str | None = None
    time_name: str | None = None
    of_losses: str | None = None
    rows: int = 0

    def row(self, line: int, raw: object) -> Row:
        """Make a row of the object that stands in this line.

        Raises:
            UnreadableRun: it is no object, or a value in it is no number.
        """
        if not isinstance(raw, Mapping):
            kind = UnreadableRun if self.found else NoRun
            raise kind(self.path, line, f"holds {shown(raw)}", "give one JSON object a row")
        self.rows += 1
        if self.rows == ROWS_TRIED and wire.LOSS not in self.found:
            raise no_loss(self.path, self.columns, self.seen)
        if not self.seen.issuperset(raw) and len(self.seen) < NAMES_KEPT:
            self._look_at(raw)
        values = {}
        for standard, name in self.found.items():
            if name in raw:
                value = self.columns.value(self.path, line, standard, name, raw[name])
                if value is not None:
                    values[standard] = value
        time = None if self.time_name is None else unix_seconds(raw.get(self.time_name))
        return Row(line, self._step(line, raw), values, time)

    def _look_at(self, raw: Mapping[str, object]) -> None:
        self.seen |= set(raw)
        new = [name for name in raw if name not in self.found.values()]
        self.found = self.columns.metrics(new) | self.found
        taken = self.found.get(wire.LOSS)
        if (
            taken is not None and taken in raw and self.of_losses is None
        ):  # a summary at the end may have a loss of its own
            self.of_losses = self.columns.note_of_losses(self.path, raw, taken)
            if self.of_losses is not None:
                self.note(self.of_losses)
        if self.step_name is None:
            self.step_name = self.columns.step_name(raw.keys())
        if self.time_name is None:
            self.time_name = self.columns.time_name(raw.keys())

    def _step(self, line: int, raw: Mapping[str, object]) -> int | None:
        if self.step_name is None:
            return None
        if self.step_name not in raw:
            raise UnreadableRun(
                self.path, line, f"has no {self.step_name}", "give a step in every row, or in none"
            )
        return whole_step(self.path, line, self.step_name, raw[self.step_name])

    def finish(self) -> None:
        """Say that nothing was to be found, if so.

        Raises:
            UnreadableRun: no object had a loss.
        """
        if not self.seen:
            raise NoRun(self.path, None, "is empty", "give one JSON object a row")
        if wire.LOSS not in self.found:
            raise no_loss(self.path, self.columns, self.seen)
        if self.step_name is None and self.columns.step is not None and not self.columns.counted:
            raise no_such(self.path, self.columns.step, self.seen, "--step-column")
