"""Draws replayed runs: the loss with its incidents by severity, the gradient norm where it was recorded."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Final

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.lines import Line2D
from matplotlib.ticker import NullFormatter

from trimtab import wire
from trimtab_monitor.replay.curves import Curve
from trimtab_monitor.replay.runner import Replayed
from trimtab_monitor.replay.text import headline
from trimtab_monitor.types import Incident

COLOURS: Final = {"critical": "#e03131", "warning": "#f08c00", "info": "#1098ad"}
LINES: Final = {wire.LOSS: ("loss", "#364fc7"), wire.GRAD_NORM: ("gradient norm", "#868e96")}
LOSS_INCHES: Final = 3.4
GRAD_INCHES: Final = 1.4
LOG_RANGE: Final = 20.0
"""A positive series that spans so many times its median is drawn on a logarithmic scale."""

DRAWN: Final = 1e100
"""A value beyond is off every scale, and its distance to others overflows: it is marked as not finite."""


def draw(runs: Sequence[Replayed], path: Path) -> None:
    """Write one PNG with a panel for each run that kept its curves.

    Raises:
        OSError: `path` cannot be written.
    """
    heights: list[float] = []
    for run in runs:
        heights += [LOSS_INCHES, GRAD_INCHES] if wire.GRAD_NORM in run.curves else [LOSS_INCHES]
    figure = Figure(figsize=(12, 0.6 + sum(heights)), dpi=120, layout="constrained")
    FigureCanvasAgg(figure)
    panels = iter(figure.add_gridspec(len(heights), 1, height_ratios=heights))
    for run in runs:
        axes = figure.add_subplot(next(panels))
        below = figure.add_subplot(next(panels), sharex=axes) if wire.GRAD_NORM in run.curves else None
        _draw_run(run, axes, below)
    figure.savefig(path, format="png")


def _draw_run(run: Replayed, axes: Axes, below: Axes | None) -> None:
    loss = run.curves.get(wire.LOSS, Curve())
    _line(axes, wire.LOSS, loss)
    _mark(axes, loss, run.incidents)
    _legend(axes, run.incidents)
    axes.set_title(headline(run, run.path.name), loc="left", fontsize=11, fontweight="bold")
    if below is None:
        axes.set_xlabel("step")
        return
    _line(below, wire.GRAD_NORM, run.curves[wire.GRAD_NORM])
    for incident in run.incidents:
        _shade(below, loss, incident)
    axes.tick_params(labelbottom=False)
    below.set_xlabel("step")


def _line(axes: Axes, metric: str, curve: Curve) -> None:
    """Draw every attempt as a line of its own, the newest strongest; one that cannot be drawn is a gap."""
    steps, values, attempts = np.array(curve.steps), np.array(curve.values), np.array(curve.attempts)
    values[~(np.abs(values) <= DRAWN)] = np.nan
    name, colour = LINES[metric]
    newest = int(attempts.max(initial=0))
    for attempt in range(newest + 1):
        lived = attempts == attempt
        alpha = 0.95 if attempt == newest else 0.5
        axes.plot(steps[lived], values[lived], color=colour, lw=0.9, alpha=alpha)
    finite = values[np.isfinite(values)]
    if finite.size and finite.min() > 0 and finite.max() > LOG_RANGE * np.median(finite):
        axes.set_yscale("log")
        axes.yaxis.set_minor_formatter(NullFormatter())
    axes.set_ylabel(name)
    axes.grid(alpha=0.2)
    axes.spines[["top", "right"]].set_visible(False)
    axes.margins(x=0.01)


def _shade(axes: Axes, curve: Curve, incident: Incident) -> None:
    end = incident.end_step if incident.end_step is not None else max(curve.steps, default=0)
    colour = COLOURS[incident.severity]
    axes.axvspan(incident.start_step, max(end, incident.start_step), color=colour, alpha=0.14, lw=0)


def _mark(axes: Axes, curve: Curve, incidents: Sequence[Incident]) -> None:
    """Shade each incident, and point at its peak; a cross on the upper edge is a value off every scale."""
    places = zip(curve.attempts, curve.steps, strict=True)
    values = dict(zip(places, curve.values, strict=True))
    for incident in incidents:
        _shade(axes, curve, incident)
        value = values.get((incident.attempt, incident.peak_step))
        colour = COLOURS[incident.severity]
        if value is not None and abs(value) <= DRAWN:
            axes.plot(incident.peak_step, value, "v", ms=8, color=colour, mec="white", mew=0.7, zorder=5)
        else:
            edge = axes.get_xaxis_transform()
            axes.plot(incident.peak_step, 0.97, "X", ms=9, color=colour, mec="white", mew=0.7, transform=edge)


def _legend(axes: Axes, incidents: Sequence[Incident]) -> None:
    handles = []
    for severity, colour in COLOURS.items():
        count = sum(incident.severity == severity for incident in incidents)
        if count:
            label = f"{count} {severity}"
            handles.append(Line2D([], [], marker="v", ls="", ms=8, color=colour, label=label))
    if handles:
        axes.legend(handles=handles, loc="upper right", frameon=False, fontsize=9)
