"""CSV with a header: separated by commas, tabs or semicolons."""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TextIO

from trimtab import wire
from trimtab_monitor.replay.clock import unix_seconds
from trimtab_monitor.replay.columns import (
    Columns,
    NoRun,
    UnreadableRun,
    no_loss,
    no_step,
    no_such,
    whole_step,
)
from trimtab_monitor.replay.readers.row import Note, Row, with_last
from trimtab_monitor.replay.readers.text_file import is_cut_off, open_text


@dataclass(frozen=True, slots=True)
class Layout:
    """Which cell holds what: (index, name in the file, standard name) for each metric that is there."""

    width: int
    step: tuple[int, str] | None
    metrics: Sequence[tuple[int, str, str]]
    columns: Columns
    time: int | None = None


def read_csv(path: Path, columns: Columns, note: Note) -> Iterator[Row]:
    """Read a CSV file row by row. Only the columns that are used need to hold numbers."""
    with open_text(path, newline="") as file:
        reader = csv.reader(file, delimiter=delimiter_of(_first_line(file)))
        try:
            header = next((cells for cells in reader if any(cells)), None)
            if header is None:
                raise NoRun(path, None, "is empty", "give a CSV file with a header and rows")
            layout = layout_of(path, header, columns, note)
            numbered = ((reader.line_num, cells) for cells in reader)
            for (line, cells), is_last in with_last(numbered):
                if not any(cells):
                    continue
                _refuse_wider(path, line, cells, layout.width)
                try:
                    yield row_of(path, line, cells, layout)
                except UnreadableRun:
                    if not (is_last and is_cut_off(path)):
                        raise
                    note(f"{path}:{line}: the last line is cut off, and left out")
        except csv.Error as error:
            raise UnreadableRun(path, reader.line_num, f"is not CSV: {error}", "mend the line") from None


def delimiter_of(header: str) -> str:
    """Return what separates the cells, by the line of their names."""
    return max(",\t;", key=header.count)


def _first_line(file: TextIO) -> str:
    first = file.readline()
    file.seek(0)
    return first


def layout_of(path: Path, header: Sequence[str], columns: Columns, note: Note) -> Layout:
    """Say which cell holds what.

    Raises:
        UnreadableRun: there is no loss, or not the step that was asked for.
    """
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
    time = columns.time_name(header)
    place = None if step is None else (header.index(step), step)
    return Layout(len(header), place, metrics, columns, None if time is None else header.index(time))


def _refuse_wider(path: Path, line: int, cells: Sequence[str], width: int) -> None:
    """Refuse a cell too many, which moves those after it: `2,5` would be read as a loss of 2."""
    if any(cells[width:]):
        remedy = "write decimals with a point (2.5), and text that holds the separator in quotes"
        raise UnreadableRun(path, line, f"{len(cells)} cells where the header has {width}", remedy)


def row_of(path: Path, line: int, cells: Sequence[str], layout: Layout) -> Row:
    """Make a row of the cells of a line.

    Raises:
        UnreadableRun: there are too few or too many, or one that is used holds no number.
    """
    _refuse_wider(path, line, cells, layout.width)
    if len(cells) < layout.width:
        raise UnreadableRun(
            path, line, f"{len(cells)} cells where the header has {layout.width}", "mend or remove the line"
        )
    values = {}
    for index, name, standard in layout.metrics:
        cell = cells[index]
        if cell:
            value = layout.columns.value(path, line, standard, name, cell)
            if value is not None:
                values[standard] = value
    time = None if layout.time is None else unix_seconds(cells[layout.time])
    if layout.step is None:
        return Row(line, None, values, time)
    index, name = layout.step
    return Row(line, whole_step(path, line, name, cells[index]), values, time)
