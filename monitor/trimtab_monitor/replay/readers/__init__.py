"""Readers of recorded runs, one file a format. Each streams rows: a file need not fit into memory."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator
from pathlib import Path

from trimtab_monitor.replay.columns import UnreadableRun
from trimtab_monitor.replay.readers.csv_file import read_csv
from trimtab_monitor.replay.readers.json_document import LOG_HISTORY, read_json_document
from trimtab_monitor.replay.readers.json_lines import read_json_lines
from trimtab_monitor.replay.readers.row import Note, Row

__all__ = ["Note", "Row", "read_rows"]

Reader = Callable[[Path, str | None, Note], Iterator[Row]]

JSON_LINES = (".jsonl", ".ndjson")


def read_rows(path: Path, metric: str | None, note: Note) -> Iterator[Row]:
    """Read the rows of a recorded run, whatever its format.

    Args:
        path: a CSV file with a header, JSON Lines, a JSON array, or a `trainer_state.json`.
        metric: what the loss is called; none: one of the usual names.
        note: is told what is worth knowing and no error.

    Raises:
        UnreadableRun: it cannot be read, or not all of it.
    """
    try:
        yield from _reader(path)(path, metric, note)
    except UnicodeDecodeError as error:
        raise UnreadableRun(path, None, f"is not UTF-8 text ({error.reason})", "save it as UTF-8") from None
    except IsADirectoryError:
        raise UnreadableRun(path, None, "is a directory", f"give files, as {path}/*.csv") from None
    except OSError as error:
        reason = error.strerror or str(error)
        raise UnreadableRun(path, None, reason.lower(), "give a file that can be read") from None


def _reader(path: Path) -> Reader:
    """JSON is known by its first line, whatever the file is called; what else there is, by the suffix."""
    with path.open(encoding="utf-8-sig") as file:
        first = next((line for line in file if line.strip()), "").strip()
    is_lines = path.suffix.lower() in JSON_LINES
    if first.startswith("["):
        return read_json_document
    if first.startswith("{"):
        return read_json_lines if _is_row(first, may_be_cut_off=is_lines) else read_json_document
    return read_json_lines if is_lines else read_csv


def _is_row(first: str, *, may_be_cut_off: bool) -> bool:
    """Whether a first line is an object for itself: a row, or what should be one."""
    try:
        return LOG_HISTORY not in json.loads(first)
    except (ValueError, RecursionError):
        return may_be_cut_off or (first.endswith("}") and len(first) > 1)
