"""What there is to follow under the names that were given, now and later."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from itertools import islice
from pathlib import Path
from typing import Final

from trimtab_monitor.replay.columns import NoRun, UnreadableRun
from trimtab_monitor.replay.folders import TABLES
from trimtab_monitor.replay.readers.event_names import event_files_in, is_event_file
from trimtab_monitor.replay.readers.row import Note
from trimtab_monitor.tail.formats import Wanted, refuse
from trimtab_monitor.tail.sources import LineSource, Source

LOGS: Final = TABLES | {".log", ".out", ".err"}
MOST_LOOKED_AT: Final = 100_000


@dataclass(slots=True)
class Targets:
    """Turns names into sources, each once; a name that does not exist yet is waited for.

    Of a folder that holds runs the newest is followed, then those that appear.
    """

    given: Sequence[Path]
    wanted: Wanted
    note: Note
    seen: set[Path] = field(default_factory=set)
    opened: set[Path] = field(default_factory=set)
    waits: set[Path] = field(default_factory=set)

    def new(self) -> list[Source]:
        """Return what was not there when last asked; what cannot be looked at is tried again.

        Raises:
            UnreadableRun: it is nothing that can be followed.
        """
        return [source for path in self.given for source in self._reachable(path)]

    def _reachable(self, path: Path) -> list[Source]:
        try:
            return list(self._of(path))
        except OSError as error:
            self._wait(path, f"{(error.strerror or str(error)).lower()}: tries again")
            return []

    def _of(self, path: Path) -> Iterator[Source]:
        if not path.is_dir():
            refuse(path)
        if not path.exists():
            self._wait(path, "is not there yet: waits for it")
        elif not path.is_dir() or event_files_in(path):
            yield from self._once(path)
        else:
            yield from self._newest(path)

    def _wait(self, path: Path, why: str) -> None:
        if path not in self.waits:
            self.waits.add(path)
            self.note(f"{path}: {why}")

    def _newest(self, folder: Path) -> Iterator[Source]:
        """At first the newest log in a folder, then each that appears."""
        found = [path for path in _logs_in(folder) if path not in self.seen]
        first = folder not in self.opened
        self.seen.update(found)
        if not found:
            if first:
                self._wait(folder, "holds no log yet: waits for one")
            return
        self.waits.discard(folder)
        self.opened.add(folder)
        if first and len(found) > 1:
            found = [max(found, key=_written)]
            self.note(
                f"{folder}: follows the newest log in it, {found[0]}, and those that appear from now on"
            )
        for path in found:
            yield from self._once(path)

    def _once(self, path: Path) -> Iterator[Source]:
        self.waits.discard(path)
        if path not in self.opened:
            self.opened.add(path)
            yield self._source(path)

    def _source(self, path: Path) -> Source:
        if not path.is_dir() and not is_event_file(path):
            if not path.is_file():
                raise NoRun(path, None, "is no plain file", "give a file that grows, or a folder")
            return LineSource(path, self.wanted, self.note)
        try:
            from trimtab_monitor.tail.events import EventSource
        except ModuleNotFoundError as error:
            package = (error.name or "").partition(".")[0]
            missing = f"is a TensorBoard event file, and to read it takes {package}"
            raise UnreadableRun(path, None, missing, "pip install 'trimtab[tensorboard]'") from None
        return EventSource(path, self.wanted.columns, self.note)


def _logs_in(folder: Path) -> set[Path]:
    """The logs below a folder; event files are told by the folder that they stand in."""
    found: set[Path] = set()
    for path in islice(_files_below(folder), MOST_LOOKED_AT):
        if is_event_file(path):
            found.add(path.parent)
        elif path.suffix.lower() in LOGS:
            found.add(path)
    return found


def _files_below(folder: Path) -> Iterator[Path]:
    for where, folders, names in os.walk(folder):
        folders[:] = [name for name in folders if not name.startswith(".")]
        yield from (Path(where) / name for name in names)


def _written(path: Path) -> float:
    """When it was last written, Unix seconds; 0 where it has gone."""
    try:
        files = event_files_in(path) if path.is_dir() else [path]
        return max((file.stat().st_mtime for file in files), default=0.0)
    except OSError:
        return 0.0
