"""CSV with a header: separated by commas, tabs or semicolons."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

from trimtab import wire
from trimtab_monitor.replay.columns import (
    Columns,
    NoRun,
    UnreadableRun,
    no_loss,
    no_step,
    no_such,
    number,
    whole_step,
)
from trimtab_monitor.replay.readers.row import Note, Row, with_last
from trimtab_monitor.replay.readers.text_file import is_cut_off, open_text


@dataclass(frozen=True, slots=True)
class _Layout:
    """Which cell holds what: (index, name in the file, standard name) for each metric that is there."""

    width: int
    step: tuple[int, str] | None
    metrics: Sequence[tuple[int, str, str]]


def read_csv(path: Path, columns: Columns, note: Note) -> Iterator[Row]:
    """Read a CSV file row by row. Only the columns that are used need to hold numbers."""
    with open_text(path, newline="") as file:
        reader = csv.reader(file, delimiter=_delimiter(file))
        try:
            header = next((cells for cells in reader if any(cells)), None)
            if header is None:
                raise NoRun(path, None, "is empty", "give a CSV file with a header and rows")
            layout = _layout(path, header, columns, note)
            numbered = ((reader.line_num, cells) for cells in reader)
            for (line, cells), is_last in with_last(numbered):
                if not any(cells):
                    continue
                _refuse_wider(path, line, cells, layout.width)
                try:
                    yield _row(path, line, cells, layout)
                except UnreadableRun:
                    if not (is_last and is_cut_off(path)):
                        raise
                    note(f"{path}:{line}: the last line is cut off, and left out")
        except csv.Error as error:
            raise UnreadableRun(path, reader.line_num, f"is not CSV: {error}", "mend the line") from None


def _delimiter(file: TextIO) -> str:
    first = file.readline()
    file.seek(0)
    return max(",\t;", key=first.count)


def _layout(path: Path, header: Sequence[str], columns: Columns, note: Note) -> _Layout:
    found = columns.metrics(header)
    if wire.LOSS not in found:
        raise no_loss(path, columns, header)
    told = columns.note_of_losses(path, header, found[wire.LOSS])
    if told is not None:
        note(told)
    metrics = [(header.index(name), name, standard) for standard, name in found.items()]
    step = columns.step_name(header)
    if step is None:
        if columns.step is None:
            note(no_step(path, header))
        elif not columns.counted:
            raise no_such(path, columns.step, header, "--step-column")
    return _Layout(len(header), None if step is None else (header.index(step), step), metrics)


def _refuse_wider(path: Path, line: int, cells: Sequence[str], width: int) -> None:
    """Refuse a cell too many, which moves those after it: `2,5` would be read as a loss of 2."""
    if any(cells[width:]):
        remedy = "write decimals with a point (2.5), and text that holds the separator in quotes"
        raise UnreadableRun(path, line, f"{len(cells)} cells where the header has {width}", remedy)


def _row(path: Path, line: int, cells: Sequence[str], layout: _Layout) -> Row:
    if len(cells) < layout.width:
        raise UnreadableRun(
            path, line, f"{len(cells)} cells where the header has {layout.width}", "mend or remove the line"
        )
    values = {}
    for index, name, standard in layout.metrics:
        cell = cells[index]
        if cell:
            value = number(path, line, name, cell)
            if value is not None:
                values[standard] = value
    if layout.step is None:
        return Row(line, None, values)
    index, name = layout.step
    return Row(line, whole_step(path, line, name, cells[index]), values)
