"""TensorBoard event files as they grow: those of one folder are one run, newer ones included."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from trimtab import wire
from trimtab_monitor.replay.columns import Columns, DamagedRun, UnreadableRun, no_loss
from trimtab_monitor.replay.readers.event_files import by_start, rows_of
from trimtab_monitor.replay.readers.event_names import event_files_in
from trimtab_monitor.replay.readers.event_records import RecordCutOff, RecordError, events_from
from trimtab_monitor.replay.readers.event_scalars import Scalars, Tag
from trimtab_monitor.replay.readers.row import Note, Row
from trimtab_monitor.tail.steps import Placed


@dataclass(slots=True)
class _Reading:
    """One event file, and how far it was read; a damaged one is read no further."""

    path: Path
    offset: int = 0
    damaged: bool = False


class EventSource:
    """An event file, or all that stand in a folder, in the order in which they were begun.

    Tags of one step come one after the other: the last step is held back until another one comes, or nothing
    did for a while.
    """

    def __init__(self, path: Path, columns: Columns, note: Note) -> None:
        self.path = path
        self.modified = 0.0
        self.began_in = 0
        self._columns = columns
        self._note = note
        self._scalars = Scalars(columns)
        self._files: dict[Path, _Reading] = {}
        self._names: dict[str, str] = {}
        self._held: Placed | None = None
        self._told = False

    def poll(self) -> list[Placed] | None:
        """See Source."""
        self._look()
        grown = [self._read(reading) for reading in self._files.values() if not reading.damaged]
        if not any(grown):
            return None
        return self._hold(self._placed(self._scalars.taken()))

    def idle(self, *, end: bool) -> list[Placed]:
        """See Source."""
        del end
        held, self._held = self._held, None
        return [] if held is None else [held]

    def close(self) -> None:
        """No file stays open."""

    def _look(self) -> None:
        """Find files that are new, or were written anew."""
        found = event_files_in(self.path) if self.path.is_dir() else [self.path]
        new = [file for file in found if file not in self._files and file.exists()]
        if len(self._files) + len(new) > 1 and new:
            self._files |= {file: _Reading(file) for file in by_start(self.path) if file in new}
        else:
            self._files |= {file: _Reading(file) for file in new}

    def _read(self, reading: _Reading) -> bool:
        """Take what is new in a file; False: nothing is."""
        try:
            status = reading.path.stat()
        except FileNotFoundError:
            return False
        if status.st_size < reading.offset:
            self._note(f"{reading.path}: was truncated or replaced: goes on from its new beginning")
            reading.offset = 0
        if status.st_size == reading.offset:
            return False
        self.modified = max(self.modified, status.st_mtime)
        before = reading.offset
        try:
            with reading.path.open("rb") as file:
                for event, end in events_from(file, before):
                    self._scalars.take(event)
                    reading.offset = end
        except RecordCutOff:
            pass  # its writer still writes
        except RecordError as error:
            reading.damaged = True
            self._note(str(DamagedRun(reading.path, str(error))))
        return reading.offset > before

    def _placed(self, tags: dict[str, Tag]) -> list[Placed]:
        chosen = {standard: tags[name] for standard, name in self._standard(tags).items() if name in tags}
        if not chosen:
            return []
        try:
            return [_place(attempt, row) for attempt, row in rows_of(self.path, chosen, unstepped=False)]
        except UnreadableRun as error:
            self._note(f"{error} (passed over)")
            return []

    def _standard(self, tags: dict[str, Tag]) -> dict[str, str]:
        """Which tag stands for which metric: the first that was met, of those met at once the likeliest."""
        new = [name for name in tags if name not in self._names.values()]
        self._names = self._columns.metrics(new) | self._names
        taken = self._names.get(wire.LOSS)
        if taken is None and not self._told:
            self._told = True
            self._note(str(no_loss(self.path, self._columns, tags, "tag")))
        elif taken in new and taken is not None:
            told = self._columns.note_of_losses(
                self.path, [name for name in tags if len(tags[name].steps) > 1], taken
            )
            if told is not None:
                self._note(told)
        return self._names

    def _hold(self, rows: list[Placed]) -> list[Placed]:
        """Join the row that was held back with the rest of it, and hold the last one back."""
        if not rows:
            return []
        held, first = self._held, rows[0]
        if held is not None and held.place == first.place and not held.row.values.keys() & first.row.values:
            times = [time for time in (held.row.time, first.row.time) if time is not None]
            joined = Row(None, first.step, held.row.values | first.row.values, max(times, default=None))
            rows[0] = Placed(first.attempt, first.step, joined)
        elif held is not None:
            rows.insert(0, held)
        self._held = rows.pop()
        return rows


def _place(attempt: int, row: Row) -> Placed:
    assert row.step is not None, "an event has a step"
    return Placed(attempt, row.step, row)
