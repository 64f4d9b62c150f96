"""`trainer_state.json` of Hugging Face Transformers: the rows are its `log_history`."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path

from trimtab_monitor.replay.columns import UnreadableRun
from trimtab_monitor.replay.readers.objects import ObjectRows
from trimtab_monitor.replay.readers.row import Note, Row


def read_trainer_state(path: Path, metric: str | None, note: Note) -> Iterator[Row]:
    """Read the log history. A row's line is its place in that list, counted from 1."""
    del note
    try:
        state = json.loads(path.read_text(encoding="utf-8-sig"))
    except (json.JSONDecodeError, RecursionError) as error:
        line = error.lineno if isinstance(error, json.JSONDecodeError) else None
        raise UnreadableRun(
            path, line, f"is not JSON: {error}", "give JSON Lines or a trainer_state.json"
        ) from None
    history = state.get("log_history") if isinstance(state, dict) else None
    if not isinstance(history, list):
        raise UnreadableRun(path, None, "has no list log_history", "give JSON Lines or a trainer_state.json")
    rows = ObjectRows(path, metric)
    for line, raw in enumerate(history, start=1):
        yield rows.row(line, raw)
    rows.finish()
