"""One JSON document: an array of rows, or the `trainer_state.json` of Hugging Face Transformers."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Final

from trimtab_monitor.replay.columns import Columns, NoRun, UnreadableRun
from trimtab_monitor.replay.readers.objects import ObjectRows
from trimtab_monitor.replay.readers.row import Note, Row
from trimtab_monitor.replay.readers.text_file import open_text

LOG_HISTORY: Final = "log_history"
"""Under this name a trainer state holds its rows."""

_REMEDY: Final = "give JSON Lines, an array of objects, or a trainer_state.json"


def read_json_document(path: Path, columns: Columns, note: Note) -> Iterator[Row]:
    """Read the rows. A row's line is its place in their list, counted from 1."""
    rows = ObjectRows(path, columns, note)
    for line, raw in enumerate(_rows(path), start=1):
        yield rows.row(line, raw)
    rows.finish()


def _rows(path: Path) -> list[object]:
    with open_text(path) as file:
        text = file.read()
    try:
        document = json.loads(text)
    except (ValueError, RecursionError) as error:  # ValueError: also a number of too many digits
        line = error.lineno if isinstance(error, json.JSONDecodeError) else None
        raise UnreadableRun(path, line, f"is not JSON: {error}", _REMEDY) from None
    history = document.get(LOG_HISTORY) if isinstance(document, dict) else document
    if not isinstance(history, list):
        raise NoRun(path, None, f"has no list {LOG_HISTORY}", _REMEDY)
    return history
