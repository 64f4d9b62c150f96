"""Draws replayed runs, so that a person sees at a glance whether the detectors were right.

Of each run: the loss with what was usual of it at every moment, and the incidents by severity; the gradient
norm below, where it was recorded; and the gravest incidents from near.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final

from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure, SubFigure
from matplotlib.layout_engine import ConstrainedLayoutEngine

from trimtab import wire
from trimtab_monitor.replay.closeups import chosen, draw_closeup
from trimtab_monitor.replay.panel import draw_curve, head, mark_incidents
from trimtab_monitor.replay.runner import Replayed

WIDTH_INCHES: Final = 13.0
LOSS_INCHES: Final = 3.4
GRAD_INCHES: Final = 1.5
CLOSEUP_INCHES: Final = 2.5
HEAD_INCHES: Final = 0.9
PAD_INCHES: Final = 0.09

MOST_WITH_CLOSEUPS: Final = 6
"""More runs than this are drawn without: the picture would be too long to compare them."""


def draw(runs: Sequence[Replayed], path: Path) -> None:
    """Write one PNG with all these runs, each of which kept its curves.

    Raises:
        OSError: `path` cannot be written.
    """
    near = len(runs) <= MOST_WITH_CLOSEUPS
    rows = [_rows(run, near=near) for run in runs]
    heights = [sum(row) + HEAD_INCHES for row in rows]
    engine = ConstrainedLayoutEngine(h_pad=PAD_INCHES, w_pad=PAD_INCHES)
    figure = Figure(figsize=(WIDTH_INCHES, sum(heights)), dpi=110, layout=engine)
    FigureCanvasAgg(figure)
    parts = figure.subfigures(len(runs), 1, height_ratios=heights, squeeze=False)[:, 0]
    for run, part, row in zip(runs, parts, rows, strict=True):
        _draw_run(run, part, row)
    figure.savefig(path, format="png")


def _rows(run: Replayed, *, near: bool) -> list[float]:
    """The heights of what is drawn of a run, in inches."""
    rows = [LOSS_INCHES]
    if wire.GRAD_NORM in run.curves:
        rows.append(GRAD_INCHES)
    if near and chosen(run):
        rows.append(CLOSEUP_INCHES)
    return rows


def _draw_run(run: Replayed, part: SubFigure, heights: Sequence[float]) -> None:
    head(part, run)
    grid = part.add_gridspec(len(heights), 1, height_ratios=heights)
    axes = part.add_subplot(grid[0])
    near = chosen(run) if heights[-1] == CLOSEUP_INCHES else []
    draw_curve(axes, run, wire.LOSS)
    mark_incidents(axes, run, wire.LOSS, near)
    lowest = axes
    if wire.GRAD_NORM in run.curves:
        lowest = part.add_subplot(grid[1], sharex=axes)
        draw_curve(lowest, run, wire.GRAD_NORM)
        mark_incidents(lowest, run, wire.GRAD_NORM)
        axes.tick_params(labelbottom=False)
    lowest.set_xlabel("step")
    if near:
        places = grid[len(heights) - 1].subgridspec(1, max(3, len(near)))
        for number, incident in enumerate(near, start=1):
            draw_closeup(part.add_subplot(places[number - 1]), run, incident, number)
