"""JSON Lines: one object a line. NaN and Infinity may stand bare, as Python writes them, or as strings."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

from trimtab_monitor.replay.columns import Columns, UnreadableRun
from trimtab_monitor.replay.readers.objects import ObjectRows
from trimtab_monitor.replay.readers.row import Note, Row, with_last
from trimtab_monitor.replay.readers.text_file import is_cut_off, open_text


def read_json_lines(path: Path, columns: Columns, note: Note) -> Iterator[Row]:
    """Read JSON Lines row by row."""
    rows = ObjectRows(path, columns, note)
    with open_text(path) as file:
        for (line, text), is_last in with_last(enumerate(file, start=1)):
            if not text.strip():
                continue
            try:
                yield rows.row(line, object_of(path, line, text))
            except UnreadableRun:
                if not (is_last and is_cut_off(path)):
                    raise
                note(f"{path}:{line}: the last line is cut off, and left out")
    rows.finish()


def object_of(path: Path, line: int, text: str) -> object:
    """Return what a line holds.

    Raises:
        UnreadableRun: it is no JSON.
    """
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:  # ValueError: also a number of too many digits
        raise UnreadableRun(path, line, f"is not JSON: {error}", "give one JSON object a line") from None
