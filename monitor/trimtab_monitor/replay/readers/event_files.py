"""TensorBoard event files: those of one folder are one run, begun again where there are several."""

from __future__ import annotations

from collections.abc import Iterator
from heapq import merge
from itertools import chain, groupby
from math import isfinite
from pathlib import Path
from typing import Final

from trimtab import wire
from trimtab_monitor.replay.columns import MOST_STEPS, Columns, DamagedRun, UnreadableRun, no_loss
from trimtab_monitor.replay.readers.event_names import event_files_in
from trimtab_monitor.replay.readers.event_records import RecordCutOff, RecordError, read_events
from trimtab_monitor.replay.readers.event_scalars import Scalars, Tag
from trimtab_monitor.replay.readers.row import Note, Row

Place = tuple[int, int]
"""Attempt and step."""

Measured = tuple[Place, str, float, float]
"""Where, which standard metric, its value, and when."""

UNSTEPPED: Final = "every step is the same: rows are counted from 1"


def read_event_files(path: Path, columns: Columns, note: Note) -> Iterator[Row]:
    """Read the event file, or all those in a folder, and yield rows, each with all tags of a step.

    Raises:
        DamagedRun: at the end, that a record could not be read; all before it was.
        UnreadableRun: there is nothing to read, or it has no loss.
    """
    if columns.step is not None:
        note(f"{path}: event files tell the step themselves: --step-column is for other files")
    scalars = Scalars(columns)
    damage = [why for file in by_start(path) if (why := _read(scalars, file, note)) is not None]
    names = scalars.tags.keys() | scalars.others
    found = columns.metrics(list(scalars.tags))
    if wire.LOSS not in found:
        raise DamagedRun(path, "; ".join(damage)) if damage else no_loss(path, columns, names, "tag")
    lasting = [name for name, tag in scalars.tags.items() if len(tag.steps) > 1]  # else it is of a summary
    told = columns.note_of_losses(path, lasting, found[wire.LOSS])
    if told is not None:
        note(told)
    chosen = {standard: scalars.tags[name] for standard, name in found.items()}
    unstepped = (
        len(chosen[wire.LOSS].steps) > 1 and len({*chain(*(tag.steps for tag in chosen.values()))}) == 1
    )
    if unstepped:
        note(f"{path}: {UNSTEPPED}")
    yield from (row for _, row in rows_of(path, chosen, unstepped=unstepped))
    if damage:
        raise DamagedRun(path, "; ".join(damage))


def by_start(path: Path) -> list[Path]:
    """The files in the order in which they were begun: the first event of each has the time."""
    files = event_files_in(path) if path.is_dir() else [path]
    return files if len(files) == 1 else sorted(files, key=lambda file: (_begun(file), file))


def _begun(file: Path) -> float:
    try:
        return float(next((event.wall_time for event in read_events(file)), 0.0))
    except RecordError:
        return 0.0


def _read(scalars: Scalars, file: Path, note: Note) -> str | None:
    """Take a file; return what is wrong with it, if anything is."""
    try:
        scalars.read(file)
    except RecordCutOff as error:
        note(f"{file}: {error}, and left out: it is still being written, or its writer was killed")
    except RecordError as error:
        return f"{file.name}: {error}"
    return None


def rows_of(path: Path, chosen: dict[str, Tag], *, unstepped: bool) -> Iterator[tuple[int, Row]]:
    """Merge the tags by attempt and step; yield each row with its attempt.

    A metric that comes twice for a step makes two rows.

    Raises:
        UnreadableRun: a step is none.
    """
    streams = [_stream(path, name, tag, unstepped=unstepped) for name, tag in chosen.items()]
    for (attempt, step), group in groupby(merge(*streams, key=_place), key=_place):
        values: dict[str, float] = {}
        time: float | None = None
        for _, name, value, when in group:
            if name in values:
                yield attempt, Row(None, step, values, time)
                values, time = {}, None
            values[name] = value
            if isfinite(when):
                time = when if time is None else max(time, when)
        yield attempt, Row(None, step, values, time)


def _place(measured: Measured) -> Place:
    return measured[0]


def _stream(path: Path, name: str, tag: Tag, *, unstepped: bool) -> Iterator[Measured]:
    if min(tag.steps) < 0 or max(tag.steps) > MOST_STEPS:
        wrong = next(step for step in tag.steps if not 0 <= step <= MOST_STEPS)
        raise UnreadableRun(path, None, f"{name} has step {wrong}", "steps run from 0 to 2**53")
    steps = range(1, len(tag.steps) + 1) if unstepped else tag.steps
    for attempt, step, value, time in zip(tag.attempts, steps, tag.values, tag.times, strict=True):
        yield (attempt, step), name, value, time
