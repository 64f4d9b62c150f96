"""Runs a recorded run through the detectors and the incident book, as if its samples came now."""

from __future__ import annotations

from array import array
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from trimtab import wire
from trimtab_monitor.detectors import DetectorSet, DetectorSettings
from trimtab_monitor.incidents import IncidentBook, IncidentSettings
from trimtab_monitor.replay.columns import UnreadableRun
from trimtab_monitor.replay.readers import Note, read_rows
from trimtab_monitor.types import Incident, Sample

TICK_ROWS: Final = 2000
PICTURED: Final = (wire.LOSS, wire.GRAD_NORM)


@dataclass(slots=True)
class Curve:
    """One metric for a picture: step, value and attempt of each row in which it was measured."""

    steps: array[int] = field(default_factory=lambda: array("q"))
    values: array[float] = field(default_factory=lambda: array("d"))
    attempts: array[int] = field(default_factory=lambda: array("q"))


@dataclass(slots=True)
class Replayed:
    """A file, how many rows it had, and the incidents found in it, oldest first."""

    path: Path
    rows: int = 0
    incidents: list[Incident] = field(default_factory=list)
    curves: dict[str, Curve] = field(default_factory=dict)

    def keep(self, sample: Sample) -> None:
        """Keep what a picture shows of a sample."""
        for name in PICTURED:
            value = sample.values.get(name)
            if value is not None:
                curve = self.curves.setdefault(name, Curve())
                curve.steps.append(sample.step)
                curve.values.append(value)
                curve.attempts.append(sample.attempt)

    def as_json(self) -> dict[str, Any]:
        """The shape in which `replay` tells it."""
        incidents = [incident.as_json() for incident in self.incidents]
        return {"file": str(self.path), "rows": self.rows, "incidents": incidents}


@dataclass(frozen=True, slots=True)
class Options:
    """How to replay: the settings, what the loss is called, whether to keep the curves, and who is told."""

    detectors: DetectorSettings = field(default_factory=DetectorSettings)
    incidents: IncidentSettings = field(default_factory=IncidentSettings)
    metric: str | None = None
    keep_curves: bool = False
    note: Note = lambda _: None
    tick: Callable[[int], None] = lambda _: None


def replay_file(path: Path, options: Options) -> Replayed:
    """Replay one file.

    A step that goes backwards begins a new attempt, as after a restart or a rollback.

    Raises:
        UnreadableRun: the file cannot be read, or holds nothing to look at.
    """
    detectors = DetectorSet.build(options.detectors)
    book = IncidentBook(path.stem, options.incidents)
    replayed = Replayed(path)
    incidents: dict[str, Incident] = {}
    attempt, last_step = 0, None
    for row in read_rows(path, options.metric, options.note):
        replayed.rows += 1
        step = replayed.rows if row.step is None else row.step
        if last_step is not None and step < last_step:
            attempt += 1
            options.note(f"{path}:{row.line}: step {step} after step {last_step}: attempt {attempt} begins")
        last_step = step
        sample = Sample(step, float(replayed.rows), row.values, attempt)
        for incident in book.observe(sample, detectors.update(sample), detectors.active):
            incidents[incident.id] = incident
        if options.keep_curves:
            replayed.keep(sample)
        if replayed.rows % TICK_ROWS == 0:
            options.tick(TICK_ROWS)
    replayed.incidents = list(incidents.values())
    if replayed.rows == 0:
        raise UnreadableRun(path, None, "holds no rows", "give a run of at least one step")
    return replayed
