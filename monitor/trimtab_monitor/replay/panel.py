"""One metric of a run as a picture: its line, what was usual of it, and the incidents."""

from __future__ import annotations

from collections.abc import Sequence
from math import inf
from pathlib import Path
from typing import Final

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes
from matplotlib.figure import SubFigure
from matplotlib.lines import Line2D
from matplotlib.patches import Patch
from matplotlib.ticker import FuncFormatter, LogLocator, MaxNLocator, NullFormatter

from trimtab import wire
from trimtab_monitor.replay.curves import Curve
from trimtab_monitor.replay.readers.event_names import is_event_file
from trimtab_monitor.replay.runner import Replayed
from trimtab_monitor.replay.text import counted
from trimtab_monitor.series.downsample import downsample
from trimtab_monitor.types import SEVERITY_RANK, Incident

Values = npt.NDArray[np.float64]

SEVERITIES: Final = {"critical": "#d6262b", "warning": "#ef8a0c", "info": "#1f9fb4"}
LINE: Final = "#22304a"
BAND: Final = "#b9d3ee"
EXPECTED: Final = "#3b7dc4"
QUIET: Final = "#6b7280"
NAMES: Final = {wire.LOSS: "loss", wire.GRAD_NORM: "gradient norm"}

LOG_RANGE: Final = 3.0
"""A positive series that reaches so many times its median is drawn on a logarithmic scale."""

DECADES: Final = 6.0
"""A logarithmic scale shows no more below the median: what is nearly zero would take all the room."""

DRAWN: Final = 1e100
"""A value beyond is off every scale, and its distance to others overflows: it is marked as not finite."""

MOST_POINTS: Final = 6000
"""More than the picture has columns; none of them hides a spike."""

FEW_POINTS: Final = 150
"""So many can be told apart, and are drawn as dots."""

NAME_LENGTH: Final = 96

TAG_WIDTH: Final = 0.018
"""Of a number, as a fraction of the picture's width."""


def head(part: SubFigure, run: Replayed) -> None:
    """Write what run it is above it, and the legend of what is drawn."""
    part.suptitle(_shortened(run.path), x=0.01, ha="left", fontsize=13, fontweight="bold", color=LINE)


def _shortened(path: Path) -> str:
    """The file and its folder; of an event file two of them, as all event files are called much the same."""
    parts = path.absolute().parts[1:] if path != Path("-") else ("standard input",)
    name = "/".join(parts[-3 if is_event_file(path) else -2 :])
    half = NAME_LENGTH // 2
    return name if len(name) <= NAME_LENGTH else f"{name[:half]}…{name[-half:]}"


def drawable(values: Sequence[float]) -> Values:
    """The values, NaN for those that are off every scale."""
    array = np.array(values, dtype=np.float64)
    array[~(np.abs(array) <= DRAWN)] = np.nan
    return array


def draw_curve(axes: Axes, run: Replayed, metric: str) -> None:
    """Draw a metric: every attempt as a line of its own, pale where it was lived again, and its band."""
    curve = run.curves.get(metric, Curve())
    values = drawable(curve.values)
    attempts = np.array(curve.attempts)
    relived = relived_rows(curve)
    for attempt in np.unique(attempts):
        lived = np.flatnonzero(attempts == attempt)
        for part, strength in ((lived[~relived[lived]], 1.0), (lived[relived[lived]], 0.4)):
            if not part.size:
                continue
            shown = part[downsample(values[part], MOST_POINTS)]
            draw_band(axes, curve, shown, strength)
            steps = np.array(curve.steps)[shown]
            dots = "." if len(shown) <= FEW_POINTS else ""
            axes.plot(steps, values[shown], color=LINE, lw=0.8, marker=dots, ms=3, alpha=strength, zorder=3)
    scale(axes, values)
    axes.set_ylabel(NAMES[metric], color=LINE)
    tidy(axes)
    axes.margins(x=0.01)
    number_steps(axes, 9)
    if metric == wire.LOSS:
        axes.set_title(f"{counted(run)}", loc="left", fontsize=10, color=QUIET, pad=8)
        legend(axes, run.incidents)


def relived_rows(curve: Curve) -> npt.NDArray[np.bool_]:
    """Which rows a later attempt went back behind: their steps were lived again, or thrown away."""
    attempts, steps = np.array(curve.attempts), np.array(curve.steps)
    relived = np.zeros(len(steps), dtype=bool)
    begun = inf
    for attempt in np.unique(attempts)[::-1]:
        lived = attempts == attempt
        relived |= lived & (steps >= begun)
        begun = min(begun, int(steps[lived].min()))
    return relived


def draw_band(axes: Axes, curve: Curve, shown: npt.NDArray[np.intp], strength: float = 1.0) -> None:
    """Draw what was expected of these points, and how far up was usual."""
    steps = np.array(curve.steps)[shown]
    expected, limit = drawable(curve.expected)[shown], drawable(curve.limit)[shown]
    axes.fill_between(steps, expected, limit, color=BAND, alpha=0.75 * strength, lw=0, zorder=1)
    axes.plot(steps, expected, color=EXPECTED, lw=0.7, alpha=0.9 * strength, zorder=2)


def scale(axes: Axes, values: Values) -> None:
    """Fit the scale to the values, not to the band: it may be wide while little is known."""
    finite = values[np.isfinite(values)]
    if not finite.size:
        return
    low, high = float(finite.min()), float(finite.max())
    if low > 0 and high > LOG_RANGE * float(np.median(finite)):
        axes.set_yscale("log")
        low = max(low, float(np.median(finite)) / 10**DECADES)
        axes.yaxis.set_major_locator(LogLocator(subs=_ticks(high / low)))
        axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
        axes.yaxis.set_minor_formatter(NullFormatter())
        margin = (high / low) ** 0.06
        axes.set_ylim(low / margin**1.5, high * margin**2)
    else:
        margin = 0.06 * (high - low) or 0.1 * abs(high) or 1.0
        axes.set_ylim(low - 1.5 * margin, high + 2 * margin)
        axes.ticklabel_format(axis="y", useOffset=False)


def _ticks(ratio: float) -> tuple[float, ...]:
    """What is labelled of a decade: the less, the more decades there are."""
    return (1.0, 2.0, 3.0, 5.0) if ratio < 30 else (1.0, 3.0) if ratio < 300 else (1.0,)


def number_steps(axes: Axes, most: int) -> None:
    """Write steps out in full, at no more than so many places."""
    axes.xaxis.set_major_locator(MaxNLocator(most, integer=True))
    axes.xaxis.set_major_formatter(FuncFormatter(lambda step, _: f"{step:,.0f}"))


def tidy(axes: Axes) -> None:
    """Take away what nobody reads."""
    axes.grid(color="#e5e7eb", lw=0.7)
    axes.set_axisbelow(True)
    axes.spines[["top", "right"]].set_visible(False)
    axes.spines[["left", "bottom"]].set_color("#9ca3af")
    axes.tick_params(colors=QUIET, labelsize=9)


def legend(axes: Axes, incidents: Sequence[Incident]) -> None:
    """Say what is what, above the picture."""
    handles: list[Line2D | Patch] = [
        Line2D([], [], color=LINE, lw=1.2, label="measured"),
        Line2D([], [], color=EXPECTED, lw=1.2, label="expected"),
        Patch(color=BAND, label="usual, up to the limit"),
    ]
    for severity, colour in SEVERITIES.items():
        count = sum(incident.severity == severity for incident in incidents)
        if count:
            handles.append(Line2D([], [], marker="v", ls="", ms=8, color=colour, label=f"{count} {severity}"))
    axes.legend(
        handles=handles,
        loc="lower right",
        bbox_to_anchor=(1.0, 1.0),
        ncols=len(handles),
        frameon=False,
        fontsize=9,
        labelcolor=LINE,
        handletextpad=0.5,
        columnspacing=1.4,
        borderaxespad=0.2,
    )


def mark_incidents(axes: Axes, run: Replayed, own: str, numbered: Sequence[Incident] = ()) -> None:
    """Shade every incident in the panel of its `own` metric, and point at its peak.

    What is of a metric without a panel stands with the loss.
    """
    curve = run.curves.get(own, Curve())
    steps, attempts = np.array(curve.steps), np.array(curve.attempts)
    for incident in sorted(run.incidents, key=lambda each: SEVERITY_RANK[each.severity]):
        colour = SEVERITIES[incident.severity]
        _shade(axes, incident, max(curve.steps, default=0), colour)
        if own == (incident.metric if incident.metric in run.curves else wire.LOSS):
            there = np.flatnonzero((steps == incident.peak_step) & (attempts == incident.attempt))
            _point_at(axes, incident, curve.values[there[-1]] if there.size else None, own)
    _number(axes, numbered)


def _point_at(axes: Axes, incident: Incident, value: float | None, metric: str) -> None:
    """Point at the peak; a cross on the upper edge is a value off every scale, a square no value at all."""
    colour, size = SEVERITIES[incident.severity], 6 if incident.severity == "info" else 8
    if incident.metric != metric:
        _on_edge(axes, incident.peak_step, "s", size, colour)
    elif value is None or not abs(value) <= DRAWN:
        _on_edge(axes, incident.peak_step, "X", size + 1, colour)
    else:
        axes.plot(
            incident.peak_step,
            value,
            "v",
            ms=size,
            color=colour,
            mec="white",
            mew=0.8,
            zorder=5,
            clip_on=False,
        )


def _on_edge(axes: Axes, step: int, marker: str, size: int, colour: str) -> None:
    edge = axes.get_xaxis_transform()
    axes.plot(step, 0.97, marker, ms=size, color=colour, mec="white", mew=0.8, zorder=5, transform=edge)


def _shade(axes: Axes, incident: Incident, last_step: int, colour: str) -> None:
    end = incident.end_step if incident.end_step is not None else last_step
    axes.axvspan(incident.start_step, max(end, incident.start_step), color=colour, alpha=0.16, lw=0, zorder=0)
    if incident.severity != "info":
        axes.axvline(incident.start_step, color=colour, alpha=0.35, lw=0.8, zorder=0)


def _number(axes: Axes, incidents: Sequence[Incident]) -> None:
    """Give the incidents that are shown from near their numbers; one too near to another stands above it."""
    left, right = axes.get_xlim()
    before, raised = -inf, 0
    for number, incident in enumerate(incidents, start=1):
        place = (incident.peak_step - left) / (right - left)
        raised = raised + 1 if place - before < TAG_WIDTH else 0
        before = place
        _tag(axes, incident.peak_step, number, SEVERITIES[incident.severity], raised)


def _tag(axes: Axes, step: int, number: int, colour: str, raised: int) -> None:
    axes.annotate(
        str(number),
        (step, 0.0),
        xycoords=("data", "axes fraction"),
        xytext=(0, 8 + 16 * raised),
        textcoords="offset points",
        ha="center",
        va="center",
        fontsize=8,
        fontweight="bold",
        color="white",
        bbox={"boxstyle": "circle,pad=0.25", "color": colour, "lw": 0},
        zorder=6,
    )
