"""Labelled training curves: one CSV each, with INDEX.csv and LABELS.csv beside them."""

from __future__ import annotations

import csv
import math
import re
from bisect import bisect_left
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path
from typing import Final

import numpy as np
from numpy.typing import NDArray

Values = NDArray[np.float64]

OPEN_ENDED: Final = frozenset({"divergence", "nan", "level_shift"})
"""An event of these kinds without an end lasts until the end of the curve; any other until its peak."""

DONT_CARE: Final = ("en-bloc", "uncertain")
"""Words in a label's comment that say that nobody looked at it closely."""


class CurvesError(Exception):
    """A folder of curves cannot be used. The message says why, and what to do."""


@dataclass(frozen=True, slots=True)
class Event:
    """A labelled event, in rows of its curve counted from 0; both ends belong to it."""

    kind: str
    start: int
    end: int
    severity: str = "major"
    certain: bool = True

    @property
    def must_be_found(self) -> bool:
        """Whether missing it is a miss; every other event is don't-care."""
        return self.severity == "major" and self.certain


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
    index = _table(folder / "INDEX.csv", ("file", "source_repo", "notes"))
    labels: dict[str, list[Mapping[str, str]]] = defaultdict(list)
    for label in _table(folder / "LABELS.csv", ("file", "kind", "start_step", "end_step", "severity")):
        labels[label["file"]].append(label)
    strange = labels.keys() - {entry["file"] for entry in index}
    if strange:
        raise CurvesError(f"{folder / 'LABELS.csv'}: {min(strange)!r} is not in INDEX.csv; add or remove it")
    if not index:
        raise CurvesError(f"{folder / 'INDEX.csv'}: names no curve; give a folder with at least one")
    ordered = sorted(index, key=lambda entry: entry["file"])
    return [_curve(folder / entry["file"], entry, labels[entry["file"]]) for entry in ordered]


def _table(path: Path, needed: Sequence[str]) -> list[Mapping[str, str]]:
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.DictReader(file, restval="")
            rows: list[Mapping[str, str]] = list(reader)
            header = reader.fieldnames or ()
    except OSError as error:
        remedy = "give --curves a folder with INDEX.csv, LABELS.csv and the curves that they name"
        raise CurvesError(f"{path}: {(error.strerror or str(error)).lower()}; {remedy}") from None
    missing = [name for name in needed if name not in header]
    if missing:
        raise CurvesError(f"{path}: no column {missing[0]!r} among {list(header)}; add it")
    return rows


def _curve(path: Path, entry: Mapping[str, str], labels: Sequence[Mapping[str, str]]) -> Curve:
    rows = _table(path, ("step", "loss"))
    try:
        steps = [int(float(row["step"])) for row in rows]
        names = [name for name in rows[0] if name != "step"] if rows else ["loss"]
        columns = {name: np.array([_number(row[name]) for row in rows]) for name in names}
        events = [_event(label, steps) for label in labels if label["kind"] != "clean"]
    except ValueError as error:
        raise CurvesError(f"{path}: {error}; mend that cell, or its row in LABELS.csv") from None
    return Curve(path.name, steps, columns, events, entry["source_repo"], entry["notes"])


def _number(cell: str) -> float:
    return float(cell) if cell else math.nan


def _event(label: Mapping[str, str], steps: Sequence[int]) -> Event:
    start = _row(label["start_step"], steps)
    if label["end_step"]:
        end = _row(label["end_step"], steps)
    elif label["kind"] in OPEN_ENDED:
        end = len(steps)
    else:
        end = _row(label.get("peak_step") or label["start_step"], steps)
    certain = not any(word in label.get("comment", "") for word in DONT_CARE)
    return Event(label["kind"], start, end, label["severity"], certain)


def _row(step: str, steps: Sequence[int]) -> int:
    return bisect_left(steps, int(float(step)))
