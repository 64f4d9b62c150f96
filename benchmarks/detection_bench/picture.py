"""One picture of all detectors: precision against recall, and how late and how often falsely each alarms."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from detection_bench.running import OURS, Judged

OURS_COLOUR, PEER_COLOUR = "#0b6e4f", "#9aa5b1"
F1_LEVELS = (0.2, 0.4, 0.6, 0.8, 0.9)


def draw(judged: Sequence[Judged], path: Path) -> None:
    """Write the picture; the suffix of `path` says in which format."""
    ordered = sorted(judged, key=lambda each: each.score.f1)
    figure = Figure(figsize=(13, 5.2), layout="constrained")
    FigureCanvasAgg(figure)
    plane, bars, delays, false = figure.subplots(1, 4, width_ratios=(1.6, 1, 1, 1))
    _precision_recall(plane, ordered)
    _bars(bars, "F1", [each.score.f1 for each in ordered], ordered)
    bars.set_yticks(range(len(ordered)), [each.name for each in ordered])
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
    for each in judged:
        axes.scatter(each.score.recall, each.score.precision, color=_colour(each), s=40)
        axes.annotate(
            each.name,
            (each.score.recall, each.score.precision),
            (4, 4),
            textcoords="offset points",
            fontsize=8,
        )
    axes.set(xlim=(0, 1.08), ylim=(0, 1.05), xlabel="recall of major events", ylabel="precision")


def _bars(axes: Axes, title: str, values: Sequence[float], judged: Sequence[Judged]) -> None:
    shown = [0.0 if value != value else value for value in values]
    axes.barh(range(len(shown)), shown, color=[_colour(each) for each in judged])
    for at, value in enumerate(values):
        text = "none found" if value != value else f"{value:.3g}"
        axes.annotate(text, (shown[at], at), (3, 0), textcoords="offset points", va="center", fontsize=8)
    axes.set_title(title, fontsize=10)
    axes.margins(x=0.3)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)


def _colour(judged: Judged) -> str:
    return OURS_COLOUR if judged.name.startswith(OURS) else PEER_COLOUR
