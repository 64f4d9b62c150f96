"""One picture of all detectors: precision against recall, and how late and how often falsely each alarms."""

from __future__ import annotations

from collections.abc import Sequence
from math import dist
from operator import itemgetter
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from detection_bench.running import OURS, Judged

OURS_COLOUR, PEER_COLOUR = "#0b6e4f", "#9aa5b1"
NEAR = 0.03
"""Points of the plane that are nearer share one label."""

Numbered = tuple[int, Judged]

F1_LEVELS = (0.2, 0.4, 0.6, 0.8, 0.9)


def draw(judged: Sequence[Judged], path: Path) -> None:
    """Write the picture; the suffix of `path` says in which format."""
    ordered = sorted(judged, key=lambda each: each.score.f1)
    figure = Figure(figsize=(13, 5.2), layout="constrained")
    FigureCanvasAgg(figure)
    plane, bars, delays, false = figure.subplots(1, 4, width_ratios=(1.6, 1, 1, 1))
    _precision_recall(plane, ordered)
    _bars(bars, "F1", [each.score.f1 for each in ordered], ordered)
    names = [f"{each.name}  {len(ordered) - at}" for at, each in enumerate(ordered)]
    bars.set_yticks(range(len(ordered)), names)
    _bars(delays, "median delay (samples)", [each.score.wanted.delay_median for each in ordered], ordered)
    _bars(false, "false alarms per 1,000", [each.score.false_alarms_per_1000 for each in ordered], ordered)
    for axes in (delays, false):
        axes.set_xscale("symlog", linthresh=1 if axes is delays else 0.1)
        axes.set_yticks([])
    figure.savefig(path, dpi=120)


def _precision_recall(axes: Axes, judged: Sequence[Judged]) -> None:
    recall = np.linspace(0.01, 1.0, 200)
    for f1 in F1_LEVELS:
        with np.errstate(divide="ignore"):
            precision = f1 * recall / (2 * recall - f1)
        inside = (precision > 0) & (precision <= 1)
        axes.plot(recall[inside], precision[inside], color="#dde2e7", linewidth=0.8, zorder=0)
        axes.annotate(f"F1 {f1}", (1.0, f1 / (2 - f1)), fontsize=7, color="#7b8794")
    for names, (recall_, precision_), colour in places(judged):
        axes.scatter(recall_, precision_, color=colour, s=40, clip_on=False, zorder=3)
        axes.annotate(names, (recall_, precision_), (5, 3), textcoords="offset points", fontsize=8)
    axes.set(xlim=(0, 1.08), ylim=(0, 1.05), xlabel="recall of major events", ylabel="precision")


def places(judged: Sequence[Judged]) -> list[tuple[str, tuple[float, float], str]]:
    """The points of the plane, each with the numbers of the detectors there: of near ones the first's place.

    Numbers are those of the bars beside it. What has no recall, as nothing was to be found, has no place.
    """
    found: list[tuple[list[Numbered], tuple[float, float]]] = []
    for numbered in reversed(list(enumerate(reversed(judged), start=1))):
        score = numbered[1].score
        if score.recall == score.recall:
            at = (score.recall, score.precision)
            near = next((names for names, other in found if dist(at, other) < NEAR), None)
            if near is None:
                found.append(([numbered], at))
            else:
                near.append(numbered)
    return [
        (
            ", ".join(str(number) for number, _ in sorted(here, key=itemgetter(0))),
            at,
            next((OURS_COLOUR for _, each in here if each.name.startswith(OURS)), PEER_COLOUR),
        )
        for here, at in found
    ]


def _bars(axes: Axes, title: str, values: Sequence[float], judged: Sequence[Judged]) -> None:
    shown = [0.0 if value != value else value for value in values]
    axes.barh(range(len(shown)), shown, color=[_colour(each) for each in judged])
    for at, value in enumerate(values):
        text = "none found" if value != value else f"{value:.3g}"
        axes.annotate(text, (shown[at], at), (3, 0), textcoords="offset points", va="center", fontsize=8)
    axes.set_title(title, fontsize=10)
    axes.margins(x=0.3)
    axes.set_xlim(left=0.0, right=None if any(shown) else 1.0)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)


def _colour(judged: Judged) -> str:
    return OURS_COLOUR if judged.name.startswith(OURS) else PEER_COLOUR
