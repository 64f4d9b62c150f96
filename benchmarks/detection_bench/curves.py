"""Labelled training curves: one CSV each, with INDEX.csv and LABELS.csv beside them."""

from __future__ import annotations

import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from detection_bench.labels import CLEAN, Event, event_of
from detection_bench.tables import CurvesError, Line, read_table

__all__ = ["Curve", "CurvesError", "Event", "Values", "read_folder"]

Values = NDArray[np.float64]


@dataclass(frozen=True)
class Curve:
    """One recorded run. `columns` holds what was measured by standard name; NaN and infinity are values."""

    name: str
    steps: Sequence[int]
    columns: Mapping[str, Values]
    events: Sequence[Event] = field(default=())
    source: str = "constructed"
    notes: str = ""

    @property
    def rows(self) -> int:
        """How many samples it has."""
        return len(self.steps)

    @property
    def targeted(self) -> bool:
        """Whether it was picked because it looks abnormal: its false alarms say nothing of a usual run."""
        return "sel=targeted" in self.notes

    @property
    def group(self) -> str | None:
        """The curves that it is correlated with, where the index notes name them."""
        found = re.search(r"group=([\w.-]+)", self.notes)
        return found[1] if found else None

    @cached_property
    def loss(self) -> Values:
        """The loss of each row."""
        return self.columns["loss"]

    @cached_property
    def grad_norm(self) -> Values | None:
        """The gradient norm of each row, where it was logged."""
        return self.columns.get("grad_norm")


def read_folder(folder: Path) -> list[Curve]:
    """Read all curves that INDEX.csv names, in order of their names.

    Raises:
        CurvesError: a file is missing, or does not hold what it should.
    """
    index = _index(folder / "INDEX.csv")
    labels: dict[str, list[Line]] = defaultdict(list)
    for label in read_table(folder / "LABELS.csv", ("file", "kind", "start_step", "end_step", "severity")):
        if label["file"] not in index:
            raise label.wrong(f"{label['file']!r} is not in INDEX.csv", "add or remove it")
        labels[label["file"]].append(label)
    return [_curve(folder / name, index[name], labels[name]) for name in sorted(index)]


def _index(path: Path) -> dict[str, Line]:
    index: dict[str, Line] = {}
    for entry in read_table(path, ("file", "source_repo", "notes")):
        if entry["file"] in index:
            raise entry.wrong(f"{entry['file']!r} stands here for the second time", "remove one")
        index[entry["file"]] = entry
    if not index:
        raise CurvesError(f"{path}: names no curve; give a folder with at least one")
    return index


def _curve(path: Path, entry: Line, labels: Sequence[Line]) -> Curve:
    rows = read_table(path, ("step", "loss"))
    if not rows:
        raise CurvesError(f"{path}: has no rows; give a curve of at least one, or take it out of INDEX.csv")
    steps = [int(row.number("step")) for row in rows]
    columns = {name: np.array([row.number(name) for row in rows]) for name in rows[0].names if name != "step"}
    events = [event_of(label, steps) for label in labels if label["kind"] != CLEAN]
    return Curve(path.name, steps, columns, events, entry["source_repo"], entry["notes"])
