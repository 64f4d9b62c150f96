"""Runs a recorded run through the detectors and the incident book, as if its samples came now."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from trimtab import wire
from trimtab_monitor.detectors import DetectorSet, DetectorSettings
from trimtab_monitor.incidents import IncidentBook, IncidentSettings
from trimtab_monitor.replay.columns import Columns, DamagedRun, NoRun, UnreadableRun
from trimtab_monitor.replay.curves import Curves, keep
from trimtab_monitor.replay.readers import Note, Row, read_rows
from trimtab_monitor.types import Incident, Sample

TICK_ROWS: Final = 2000

MOST_REPEATS: Final = 0.5
"""If more than this share of rows repeat a step, what is taken for the step is likely an epoch."""

ATTEMPTS_TOLD: Final = 10
"""Steps that go back more often than runs are started again are no steps: one is enough to see that."""


@dataclass(slots=True)
class Replayed:
    """A file, how many rows it had, and the incidents found in it, oldest first.

    `damage` says why it could not be read to its end, if so.
    """

    path: Path
    rows: int = 0
    incidents: list[Incident] = field(default_factory=list)
    curves: Curves = field(default_factory=dict)
    damage: str | None = None

    def as_json(self) -> dict[str, Any]:
        """The shape in which `replay` tells it."""
        incidents = [incident.as_json() for incident in self.incidents]
        return {"file": str(self.path), "rows": self.rows, "incidents": incidents}


@dataclass(frozen=True, slots=True)
class Options:
    """How to replay: the settings, what loss and step are called, whether to keep curves, and who is told."""

    detectors: DetectorSettings = field(default_factory=DetectorSettings)
    incidents: IncidentSettings = field(default_factory=IncidentSettings)
    metric: str | None = None
    step_column: str | None = None
    keep_curves: bool = False
    note: Note = lambda _: None
    tick: Callable[[int], None] = lambda _: None


def replay_file(path: Path, options: Options) -> Replayed:
    """Replay one file, or the TensorBoard event files in one folder.

    A step that goes backwards begins a new attempt, as after a restart or a rollback. What cannot be read
    after the first row is told as damage: what came before it counts.

    Raises:
        UnreadableRun: the file cannot be read, or holds nothing to look at.
    """
    replay = _Replay(path, options)
    try:
        for row in read_rows(path, Columns(options.metric, options.step_column), options.note):
            replay.take(row)
    except UnreadableRun as error:
        if replay.replayed.rows == 0 or isinstance(error, NoRun):
            raise
        replay.replayed.damage = (
            str(error) if isinstance(error, DamagedRun) else f"{error}; {DamagedRun.READ}"
        )
    options.tick(replay.replayed.rows % TICK_ROWS)
    return replay.finish()


@dataclass(slots=True)
class _Losses:
    """How many rows hold a loss, and how many of them repeat the step of the one before."""

    rows: int = 0
    repeats: int = 0
    last_step: int | None = None

    def take(self, step: int) -> None:
        """Take the step of the next row with a loss."""
        self.rows += 1
        self.repeats += step == self.last_step
        self.last_step = step

    def doubt(self) -> str | None:
        """Why hardly a row could be judged, if so."""
        if self.rows == 0:
            return (
                "no row holds a loss, and nothing was judged by it; name the one to watch with --metric NAME"
            )
        if self.repeats <= self.rows * MOST_REPEATS:
            return None
        told = (
            f"{self.repeats} of {self.rows} rows repeat the step before, and only one of each step is judged"
        )
        return f"{told}; name another column with --step-column NAME, or count rows with --step-column none"


class _Replay:
    """One run on its way through the detectors."""

    def __init__(self, path: Path, options: Options) -> None:
        self.replayed = Replayed(path)
        self._options = options
        self._detectors = DetectorSet.build(options.detectors)
        self._book = IncidentBook(path.stem, options.incidents)
        self._incidents: dict[str, Incident] = {}
        self._attempt = 0
        self._last_step = 0
        self._losses = _Losses()

    def take(self, row: Row) -> None:
        """Take the next row."""
        replayed = self.replayed
        replayed.rows += 1
        sample = self._sample(row)
        if wire.LOSS in sample.values:
            self._losses.take(sample.step)
        if self._options.keep_curves:
            keep(replayed.curves, sample, self._detectors)
        for incident in self._book.observe(sample, self._detectors.update(sample), self._detectors.active):
            self._incidents[incident.id] = incident
        if replayed.rows % TICK_ROWS == 0:
            self._options.tick(TICK_ROWS)

    def _sample(self, row: Row) -> Sample:
        rows = self.replayed.rows
        step = rows if row.step is None else row.step
        if step < self._last_step:
            self._attempt += 1
            self._tell_attempt(row, step)
        self._last_step = step
        return Sample(step, float(rows) if row.time is None else row.time, row.values, self._attempt)

    def _tell_attempt(self, row: Row, step: int) -> None:
        path, attempt = self.replayed.path, self._attempt
        if attempt <= ATTEMPTS_TOLD:
            place = path if row.line is None else f"{path}:{row.line}"
            self._options.note(f"{place}: step {step} after step {self._last_step}: attempt {attempt} begins")
        if attempt == ATTEMPTS_TOLD:
            remedy = "if the column of steps begins anew with every epoch, --step-column none counts rows"
            self._options.note(f"{path}: later attempts are not told; {remedy}")

    def finish(self) -> Replayed:
        """Return what was found.

        Raises:
            NoRun: there were no rows.
        """
        if self.replayed.rows == 0:
            raise NoRun(self.replayed.path, None, "holds no rows", "give a run of at least one step")
        if (doubt := self._losses.doubt()) is not None:
            self._options.note(f"{self.replayed.path}: {doubt}")
        self.replayed.incidents = list(self._incidents.values())
        return self.replayed
