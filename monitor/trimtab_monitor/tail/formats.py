"""How a file that grows by lines is to be read: by what was asked for, its suffix, or its first line."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from trimtab import wire
from trimtab.log_patterns import PATTERNS, LogPattern
from trimtab_monitor.replay.columns import Columns, NoRun
from trimtab_monitor.replay.readers import JSON_LINES
from trimtab_monitor.replay.readers.csv_file import delimiter_of
from trimtab_monitor.replay.readers.json_document import LOG_HISTORY
from trimtab_monitor.replay.readers.row import Note
from trimtab_monitor.replay.readers.text_file import COMPRESSED
from trimtab_monitor.tail.line_rows import CsvRows, JsonRows, LineRows
from trimtab_monitor.tail.text_rows import TextRows

TABLES: Final = (".csv", ".tsv")
STANDARD_INPUT: Final = Path("-")


@dataclass(frozen=True, slots=True)
class Wanted:
    """What the columns are called, and the pattern of a plain log, if one was given."""

    columns: Columns
    pattern: LogPattern | None = None


def refuse(path: Path) -> None:
    """Refuse what cannot grow by lines.

    Raises:
        NoRun: it is standard input, compressed, or a document that is written as a whole.
    """
    if path == STANDARD_INPUT:
        raise NoRun(
            path, None, "is standard input, which cannot be followed", "keep it in a file: ... | tee log"
        )
    if path.suffix.lower() == COMPRESSED:
        raise NoRun(path, None, "is compressed, and cannot be followed", f"use trimtab replay {path}")
    if path.suffix.lower() == ".json":
        raise _document(path)


def rows_for(path: Path, first: str, wanted: Wanted, note: Note) -> LineRows:
    """Return what reads a file whose first line is this.

    Raises:
        NoRun: it is a JSON document.
    """
    suffix = path.suffix.lower()
    if wanted.pattern is not None:
        return TextRows(path, wanted.columns, [wanted.pattern], note)
    if suffix in TABLES:
        return CsvRows(path, wanted.columns, note)
    if suffix in JSON_LINES:
        return JsonRows(path, wanted.columns, note)
    if first.lstrip().startswith("{") and _is_object(path, first):
        return JsonRows(path, wanted.columns, note)
    if _is_header(first, wanted.columns):
        return CsvRows(path, wanted.columns, note)
    return TextRows(path, wanted.columns, PATTERNS, note)


def _is_object(path: Path, first: str) -> bool:
    try:
        found = json.loads(first)
    except (ValueError, RecursionError):
        if first.strip() == "{":
            raise _document(path) from None
        return False
    if isinstance(found, dict) and LOG_HISTORY in found:
        raise _document(path)
    return isinstance(found, dict)


def _is_header(first: str, columns: Columns) -> bool:
    cells = [cell.strip() for cell in first.split(delimiter_of(first))]
    return len(cells) > 1 and wire.LOSS in Columns(columns.metric, columns.step).metrics(cells)


def _document(path: Path) -> NoRun:
    return NoRun(path, None, "is a JSON document, which does not grow by lines", f"use trimtab replay {path}")
