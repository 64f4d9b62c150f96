"""The gravest incidents of a run from near: when each began, when it was noticed, and what was usual then."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from math import isfinite

import numpy as np
import numpy.typing as npt
from matplotlib.axes import Axes

from trimtab import wire
from trimtab_monitor.replay.curves import Curve
from trimtab_monitor.replay.panel import (
    FEW_POINTS,
    LINE,
    NAMES,
    QUIET,
    SEVERITIES,
    Values,
    draw_band,
    drawable,
    number_steps,
    scale,
    tidy,
)
from trimtab_monitor.replay.runner import Replayed
from trimtab_monitor.series.downsample import downsample
from trimtab_monitor.types import SEVERITY_RANK, Incident

MOST_CLOSEUPS = 4
ROWS_BEFORE = 40
ROWS_AFTER = 30
MOST_ROWS = 300


def chosen(run: Replayed) -> list[Incident]:
    """The incidents to be seen from near, in their order: the gravest, of equals those farthest off."""
    seen = [incident for incident in run.incidents if _metric(run, incident) is not None]
    gravest = sorted(seen, key=_gravity, reverse=True)[:MOST_CLOSEUPS]
    return [incident for incident in seen if incident in gravest]


def _gravity(incident: Incident) -> tuple[int, float]:
    score = float(incident.evidence.get("score", 0.0))
    return SEVERITY_RANK[incident.severity], score if isfinite(score) else 1e300


def _metric(run: Replayed, incident: Incident) -> str | None:
    """The metric to look at: the incident's own, if there is a curve of it in the incident's attempt."""
    curve = run.curves.get(incident.metric)
    return incident.metric if curve is not None and incident.attempt in curve.attempts else None


def draw_closeup(axes: Axes, run: Replayed, incident: Incident, number: int) -> None:
    """Draw the rows around an incident, in the attempt in which it was."""
    metric = _metric(run, incident) or wire.LOSS
    curve = run.curves[metric]
    rows = _rows_around(curve, incident)
    steps, values = np.array(curve.steps)[rows], drawable(curve.values)[rows]
    colour = SEVERITIES[incident.severity]
    draw_band(axes, curve, rows)
    dots = "." if len(rows) <= FEW_POINTS else ""
    axes.plot(steps, values, color=LINE, lw=1.0, marker=dots, ms=3.5, zorder=3)
    _off_scale(axes, steps, values, colour)
    end = incident.end_step if incident.end_step is not None else int(steps[-1])
    axes.axvspan(
        incident.start_step, min(max(end, incident.start_step), steps[-1]), color=colour, alpha=0.13, lw=0
    )
    if incident.start_step != incident.detected_step:
        axes.axvline(incident.start_step, color=colour, lw=1.4, ls=(0, (1, 1.5)), zorder=2.5)
    axes.axvline(incident.detected_step, color=colour, lw=1.6, alpha=0.8, zorder=2.5)
    scale(axes, _fitted(values, drawable(curve.limit)[rows]))
    tidy(axes)
    axes.margins(x=0.02)
    number_steps(axes, 4)
    axes.set_ylabel(NAMES[metric], color=QUIET, fontsize=9)
    axes.set_title(
        f"{number}  {incident.kind.replace('_', ' ')}, {incident.severity}",
        loc="left",
        fontsize=10,
        color=colour,
        fontweight="bold",
        pad=18,
    )
    axes.annotate(
        _when(incident),
        (0, 1),
        xycoords="axes fraction",
        xytext=(0, 5),
        textcoords="offset points",
        fontsize=8.5,
        color=QUIET,
    ).set_in_layout(False)


def _rows_around(curve: Curve, incident: Incident) -> npt.NDArray[np.intp]:
    """The rows from before it began to after it was noticed, and as much of what followed as has room.

    Of more than can be told apart, some are left out, but no peak.
    """
    lived = np.flatnonzero(np.array(curve.attempts) == incident.attempt)
    steps = np.array(curve.steps)[lived].tolist()
    first = max(0, min(bisect_left(steps, incident.start_step), len(steps) - 1) - ROWS_BEFORE)
    end = incident.end_step if incident.end_step is not None else steps[-1]
    noticed = bisect_right(steps, incident.detected_step)
    ended = bisect_right(steps, max(end, incident.detected_step)) + ROWS_AFTER
    room = max(first + MOST_ROWS, noticed + (noticed - first) // 3)
    around = lived[first : max(first + 1, min(ended, room))]
    return around[downsample(drawable(curve.values)[around], MOST_ROWS)]


def _off_scale(axes: Axes, steps: npt.NDArray[np.int64], values: Values, colour: str) -> None:
    off = steps[~np.isfinite(values)]
    if off.size:
        axes.plot(
            off,
            np.full(off.shape, 0.96),
            "X",
            ms=6,
            color=colour,
            mec="white",
            mew=0.6,
            transform=axes.get_xaxis_transform(),
        )


def _fitted(values: Values, limit: Values) -> Values:
    """What the scale is to fit: the values, and as much of the band as leaves them room."""
    finite = values[np.isfinite(values)]
    if not finite.size:
        return limit
    high, low = finite.max(), finite.min()
    return np.concatenate([finite, np.minimum(limit, high + (high - low))])


def _when(incident: Incident) -> str:
    late = incident.detected_step - incident.start_step
    began = f"began at step {incident.start_step:,}"
    return f"{began}, noticed at once" if late == 0 else f"{began}, noticed {late:,} steps later"
