"""Finds the recorded runs in a folder and below it."""

from __future__ import annotations

import json
import re
import zlib
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from stat import S_ISDIR, S_ISREG
from typing import Final

from trimtab_monitor.replay.columns import NoRun
from trimtab_monitor.replay.readers.event_names import is_event_file
from trimtab_monitor.replay.readers.json_document import LOG_HISTORY
from trimtab_monitor.replay.readers.row import Note
from trimtab_monitor.replay.readers.text_file import first_line, open_text, suffix_of

TABLES: Final = frozenset({".csv", ".tsv", ".jsonl", ".ndjson"})
JSON: Final = ".json"
TRAINER_STATE: Final = "trainer_state.json"
CHECKPOINT: Final = re.compile(r"checkpoint-(\d+)")
NAMES_TOLD: Final = 3
BLOCK: Final = 1 << 20


def recorded_runs(folder: Path, note: Note) -> list[Path]:
    """Return what may be recorded runs in a folder and below, in the order of their paths.

    That is every table and JSON file that could be one, and the TensorBoard event files: the file, where one
    stands in its folder alone, else the folder, for all that stand in one are of one run. Of the trainer
    states in the checkpoints of one run the latest is returned, which holds the others. What is passed over
    is told.

    Raises:
        NoRun: there is nothing of the kind.
    """
    walk = _Walk(note)
    found = walk.below(folder)
    if walk.others:
        note(f"{folder}: passed over {_some(walk.others, folder)}: no recorded runs")
    if not found:
        remedy = "give a folder with CSV, JSON Lines, trainer_state.json or TensorBoard event files"
        raise NoRun(folder, None, "holds no recorded run", remedy)
    return found


@dataclass(slots=True)
class _Walk:
    """Goes down a folder. Each folder is looked at once, however many links lead to it."""

    note: Note
    others: list[Path] = field(default_factory=list)
    been: set[tuple[int, int]] = field(default_factory=set)

    def below(self, folder: Path) -> list[Path]:
        """The recorded runs in this folder and below."""
        entries = self._entries(folder)
        modes = {entry: _mode(entry) for entry in entries}
        found = list(self._runs(folder, [entry for entry in entries if not S_ISDIR(modes[entry])], modes))
        for inner in entries:
            if S_ISDIR(modes[inner]):
                found += self.below(inner)
        return sorted(self._latest(folder, found))

    def _entries(self, folder: Path) -> list[Path]:
        """What stands in a folder, without what is hidden; nothing if it was seen or cannot be."""
        try:
            status = folder.stat()
            identity = (status.st_dev, status.st_ino)
            if identity in self.been:
                self.note(f"{folder}: passed over: a link to a folder that is looked at already")
                return []
            self.been.add(identity)
            return sorted(entry for entry in folder.iterdir() if not entry.name.startswith("."))
        except OSError as error:
            self.note(f"{folder}: passed over: {(error.strerror or str(error)).lower()}")
            return []

    def _runs(self, folder: Path, files: list[Path], modes: dict[Path, int]) -> Iterator[Path]:
        plain = [file for file in files if S_ISREG(modes[file])]  # no pipe, no link to nowhere
        events = [file for file in plain if is_event_file(file)]
        if len(events) > 1:
            self.note(f"{folder}: its {len(events)} event files are taken as one run")
            yield folder
        else:
            yield from events
        tables = [file for file in plain if file not in events and _may_be_run(file)]
        yield from tables
        self.others += [file for file in files if file not in events and file not in tables]

    def _latest(self, folder: Path, found: list[Path]) -> list[Path]:
        """Of the trainer states of one run, which stand in its folder and in its checkpoints, keep one."""
        states = [path for path in found if _is_state_of(path, folder)]
        if len(states) < 2:
            return found
        latest = max(states, key=_steps_done)
        passed = [path for path in states if path != latest]
        self.note(f"{latest}: the latest state of its run; passed over {_some(passed, folder)}")
        return [path for path in found if path not in passed]


def _is_state_of(path: Path, folder: Path) -> bool:
    if path.name != TRAINER_STATE:
        return False
    own = path.parent == folder
    return own or (path.parent.parent == folder and CHECKPOINT.fullmatch(path.parent.name) is not None)


def _steps_done(state: Path) -> float:
    """The steps that a state holds: its checkpoint has the number; that of the run is written last of all."""
    checkpoint = CHECKPOINT.fullmatch(state.parent.name)
    if checkpoint:
        return float(checkpoint[1])
    try:
        return float(json.loads(state.read_text(encoding="utf-8-sig")).get("global_step", 0)) + 0.5
    except (OSError, ValueError, TypeError, AttributeError, RecursionError):
        return -1.0


def _mode(path: Path) -> int:
    """What it is, links followed; 0 where that cannot be known."""
    try:
        return path.stat().st_mode
    except OSError:
        return 0


def _may_be_run(file: Path) -> bool:
    suffix = suffix_of(file)
    try:
        return suffix in TABLES or (suffix == JSON and _holds_rows(file))
    except (OSError, EOFError, zlib.error, UnicodeDecodeError):
        return False


def _holds_rows(file: Path) -> bool:
    """Whether a JSON file may hold rows: an array, an object a line, or a trainer's state."""
    with open_text(file) as text:
        first = first_line(text)
        if first.startswith("[") or (first.startswith("{") and first.endswith("}") and len(first) > 2):
            return True
        text.seek(0)
        return any(f'"{LOG_HISTORY}"' in block for block in iter(lambda: text.read(BLOCK), ""))


def _some(paths: list[Path], folder: Path) -> str:
    """Some of the paths by name, and how many more there are."""
    names = ", ".join(str(path.relative_to(folder)) for path in paths[:NAMES_TOLD])
    more = len(paths) - NAMES_TOLD
    return f"{names} and {more} more" if more > 0 else names
