"""Readers of recorded runs, one file a format. Each streams rows: a text file need not fit into memory."""

from __future__ import annotations

import json
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path

from trimtab_monitor.replay.columns import Columns, NoRun, UnreadableRun
from trimtab_monitor.replay.readers.csv_file import read_csv
from trimtab_monitor.replay.readers.event_names import event_files_in, is_event_file
from trimtab_monitor.replay.readers.json_document import LOG_HISTORY, read_json_document
from trimtab_monitor.replay.readers.json_lines import read_json_lines
from trimtab_monitor.replay.readers.row import Note, Row
from trimtab_monitor.replay.readers.text_file import MOST_OF_A_LINE, first_line, open_text, suffix_of

__all__ = ["Note", "Row", "read_rows"]

Reader = Callable[[Path, Columns, Note], Iterator[Row]]

JSON_LINES = (".jsonl", ".ndjson")


def read_rows(path: Path, columns: Columns, note: Note) -> Iterator[Row]:
    """Read the rows of a recorded run, whatever its format.

    Args:
        path: a CSV file with a header, JSON Lines, a JSON array, a `trainer_state.json`, each of them also
            compressed (`.gz`), a TensorBoard event file, or a folder that holds such.
        columns: what loss and step are called, where that is not usual.
        note: is told what is worth knowing and no error.

    Raises:
        UnreadableRun: it cannot be read, or not all of it.
    """
    row: Row | None = None
    try:
        for row in _reader(path)(path, columns, note):
            yield row
    except UnicodeDecodeError as error:
        kind, line = (NoRun, None) if row is None else (UnreadableRun, row.line)
        raise kind(path, line, f"is not UTF-8 text ({error.reason})", "save it as UTF-8") from None
    except (EOFError, zlib.error):
        line, after = (None, "") if row is None else (row.line, " after this line")
        raise UnreadableRun(path, line, f"is cut off or damaged{after} (gzip)", "give all of it") from None
    except OSError as error:
        reason = error.strerror or str(error)
        raise UnreadableRun(path, None, reason.lower(), "give a file that can be read") from None


def _reader(path: Path) -> Reader:
    """Event files are known by their name, JSON by its first line, what else there is by the suffix."""
    if is_event_file(path) or (path.is_dir() and event_files_in(path)):
        return _event_reader(path)
    if path.is_dir():
        raise UnreadableRun(path, None, "is a directory", f"give files, as {path}/*.csv")
    with open_text(path) as file:
        first = first_line(file)
    if len(first) >= MOST_OF_A_LINE and first[0] not in "[{":
        raise NoRun(path, None, f"has a line of {MOST_OF_A_LINE} characters", "give CSV, JSON or JSON Lines")
    is_lines = suffix_of(path) in JSON_LINES
    if first.startswith("["):
        return read_json_document
    if first.startswith("{"):
        return read_json_lines if _is_row(first, may_be_cut_off=is_lines) else read_json_document
    return read_json_lines if is_lines else read_csv


def _event_reader(path: Path) -> Reader:
    try:
        from trimtab_monitor.replay.readers.event_files import read_event_files
    except ModuleNotFoundError as error:
        package = (error.name or "").partition(".")[0]
        missing = f"is a TensorBoard event file, and to read it takes {package}"
        raise UnreadableRun(path, None, missing, "pip install 'trimtab[tensorboard]'") from None
    return read_event_files


def _is_row(first: str, *, may_be_cut_off: bool) -> bool:
    """Whether a first line is an object for itself: a row, or what should be one."""
    try:
        return LOG_HISTORY not in json.loads(first)
    except (ValueError, RecursionError):
        return may_be_cut_off or (first.endswith("}") and len(first) > 1)
