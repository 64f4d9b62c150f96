"""A contact sheet of what one detector missed and where it was wrong: labels can be wrong too."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import ceil
from pathlib import Path
from typing import Final

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from detection_bench.curves import Curve
from detection_bench.running import Judged

COLUMNS: Final = 4
ROWS_AROUND: Final = 60
MOST_PANELS: Final = 80
SEVERITY_COLOUR: Final = {"major": "#f2b5a7", "minor": "#f6e3b4"}


@dataclass(frozen=True, slots=True)
class Closeup:
    """A place on a curve to look at."""

    curve: Curve
    row: int
    what: str


def draw_closeups(judged: Judged, curves: Sequence[Curve], path: Path) -> None:
    """Draw each place where the detector disagrees with the labels; labelled events are shaded."""
    places = _places(judged, curves)[:MOST_PANELS]
    lines = max(1, ceil(len(places) / COLUMNS))
    figure = Figure(figsize=(5 * COLUMNS, 2.8 * lines), layout="constrained")
    FigureCanvasAgg(figure)
    panels = figure.subplots(lines, COLUMNS, squeeze=False)
    for axes in panels.flat[len(places) :]:
        axes.set_visible(False)
    for axes, place in zip(panels.flat, places, strict=False):
        _panel(axes, place)
    figure.savefig(path, dpi=80)


def _places(judged: Judged, curves: Sequence[Curve]) -> list[Closeup]:
    by_name = {curve.name: curve for curve in curves}
    places = []
    for outcome in judged.outcomes:
        curve = by_name[outcome.curve]
        missed = [each for each in outcome.found if each.event.must_be_found and each.alarm is None]
        places += [Closeup(curve, each.event.start, f"missed {each.event.kind}") for each in missed]
        false = outcome.false_alarms
        places += [Closeup(curve, alarm.row, f"false {alarm.severity} {alarm.kind}") for alarm in false]
    return places


def _panel(axes: Axes, place: Closeup) -> None:
    curve = place.curve
    begin, end = max(0, place.row - ROWS_AROUND), min(curve.rows, place.row + ROWS_AROUND)
    rows = np.arange(begin, end)
    axes.plot(rows, curve.loss[begin:end], color="#0b6e4f", linewidth=0.9)
    if curve.grad_norm is not None:
        beside = axes.twinx()
        beside.plot(rows, curve.grad_norm[begin:end], color="#9aa5b1", linewidth=0.6)
        beside.set_yscale("log")
        beside.tick_params(labelsize=6)
    for event in curve.events:
        if event.end >= begin and event.start <= end:
            axes.axvspan(event.start, min(event.end, end), color=SEVERITY_COLOUR[event.severity], zorder=0)
    axes.axvline(place.row, color="#b3261e", linewidth=0.7, linestyle=":")
    axes.set_xlim(begin, end)
    axes.set_title(f"{place.what}, row {place.row}\n{curve.name[-70:]}", fontsize=7)
    axes.tick_params(labelsize=6)
