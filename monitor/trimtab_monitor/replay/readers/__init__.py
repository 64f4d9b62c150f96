"""Readers of recorded runs, one file a format. Each streams rows: a file need not fit into memory."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path

from trimtab_monitor.replay.columns import UnreadableRun
from trimtab_monitor.replay.readers.csv_file import read_csv
from trimtab_monitor.replay.readers.json_lines import read_json_lines
from trimtab_monitor.replay.readers.row import Note, Row
from trimtab_monitor.replay.readers.trainer_state import read_trainer_state

__all__ = ["Note", "Row", "read_rows"]

Reader = Callable[[Path, str | None, Note], Iterator[Row]]

SUFFIXES: dict[str, Reader] = {
    ".csv": read_csv,
    ".tsv": read_csv,
    ".jsonl": read_json_lines,
    ".ndjson": read_json_lines,
}


def read_rows(path: Path, metric: str | None, note: Note) -> Iterator[Row]:
    """Read the rows of a recorded run, whatever its format.

    Args:
        path: a CSV file with a header, JSON Lines, or a `trainer_state.json`.
        metric: what the loss is called; none: one of the usual names.
        note: is told what is worth knowing and no error.

    Raises:
        UnreadableRun: it cannot be read, or not all of it.
    """
    try:
        reader = SUFFIXES.get(path.suffix.lower()) or _by_content(path)
        yield from reader(path, metric, note)
    except UnicodeDecodeError as error:
        raise UnreadableRun(path, None, f"is not UTF-8 text ({error.reason})", "save it as UTF-8") from None
    except IsADirectoryError:
        raise UnreadableRun(path, None, "is a directory", f"give files, as {path}/*.csv") from None
    except OSError as error:
        reason = error.strerror or str(error)
        raise UnreadableRun(path, None, reason.lower(), "give a file that can be read") from None


def _by_content(path: Path) -> Reader:
    """JSON begins with a brace; a whole object on its first line makes it JSON Lines."""
    with path.open(encoding="utf-8-sig") as file:
        first = next((line for line in file if line.strip()), "").strip()
    if not first.startswith("{"):
        return read_csv
    return read_json_lines if first.endswith("}") and len(first) > 1 else read_trainer_state
