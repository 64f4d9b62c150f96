"""CSV tables of which every line knows its place, so that what is wrong is told with file and line."""

from __future__ import annotations

import csv
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path


class CurvesError(Exception):
    """A folder of curves cannot be used. The message says why, and what to do."""


@dataclass(frozen=True, slots=True)
class Line:
    """One row of a table, its cells by column."""

    path: Path
    number_in_file: int
    cells: Mapping[str, str]

    def __getitem__(self, name: str) -> str:
        """The text of a cell; empty where the table has no such column."""
        return self.cells.get(name, "")

    @property
    def names(self) -> list[str]:
        """The columns."""
        return list(self.cells)

    def number(self, name: str) -> float:
        """The number in a cell, NaN where it is empty; a step is to be finite.

        Raises:
            CurvesError: it is none.
        """
        cell = self[name]
        try:
            value = float(cell) if cell else math.nan
        except ValueError:
            value = None
        if value is None or ("step" in name and not math.isfinite(value)):
            raise self.wrong(f"column {name} holds {cell!r}", "give a number")
        return value

    def wrong(self, what: str, remedy: str) -> CurvesError:
        """The error for what is wrong in this line."""
        return CurvesError(f"{self.path}:{self.number_in_file}: {what}; {remedy}")


def read_table(path: Path, needed: Sequence[str]) -> list[Line]:
    """Read a table with at least the columns that are needed.

    Raises:
        CurvesError: it cannot be read, lacks a column, or has a row that is not as wide as its header.
    """
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.reader(file)
            rows = [(reader.line_num, cells) for cells in reader if cells]
    except OSError as error:
        remedy = "give --curves a folder with INDEX.csv, LABELS.csv and the curves that they name"
        raise CurvesError(f"{path}: {(error.strerror or str(error)).lower()}; {remedy}") from None
    except (UnicodeDecodeError, csv.Error) as error:
        raise CurvesError(f"{path}: is not CSV text ({error}); save it as CSV in UTF-8") from None
    header = rows[0][1] if rows else []
    missing = [name for name in needed if name not in header]
    if missing:
        raise CurvesError(f"{path}: no column {missing[0]!r} among {header}; add it")
    return [_line(path, number, header, cells) for number, cells in rows[1:]]


def _line(path: Path, number: int, header: Sequence[str], cells: Sequence[str]) -> Line:
    filled = [*cells, *[""] * (len(header) - len(cells))]
    line = Line(path, number, dict(zip(header, filled, strict=False)))
    if len(cells) > len(header):
        remedy = "put text that holds commas in quotes"
        raise line.wrong(f"{len(cells)} cells where the header has {len(header)}", remedy)
    return line
