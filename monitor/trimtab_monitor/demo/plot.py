"""The demo's picture: three losses, the faults, and what was noticed."""

from __future__ import annotations

import itertools
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure

from trimtab_monitor.demo.story import RunOutcome, Story

COLOURS = {"clean": "#8a8f98", "unwatched": "#d9480f", "watched": "#1864ab"}
LABELS = {
    "clean": "clean",
    "unwatched": "with faults, not watched",
    "watched": "with the same faults, watched",
}


def draw(story: Story, path: Path) -> None:
    """Write the picture as a PNG.

    Raises:
        OSError: `path` cannot be written.
    """
    figure = Figure(figsize=(11, 5.5), dpi=130, layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    for outcome in story.faults:
        fault = outcome.fault
        axes.axvspan(fault.start, fault.start + fault.batches, color="#ffd8a8", alpha=0.7, lw=0)
        label = "corrupt data" if fault.kind == "corrupt_data" else "learning rate x 30"
        axes.annotate(
            f"{label}\n{fault.batches} batches",
            (fault.start + fault.batches / 2, 0.985),
            xycoords=("data", "axes fraction"),
            ha="center",
            va="top",
            fontsize=9,
            color="#7f4f00",
        )
    for run in story.runs:
        axes.plot(
            run.course.loss,
            color=COLOURS[run.name],
            lw=1.4 if run.name == "watched" else 1.0,
            alpha=0.95,
            label=f"{LABELS[run.name]}: {run.course.final_eval_loss:.3f}",
        )
    _mark_rollbacks(axes, story.watched)
    axes.set_xlabel("batches taken from the data")
    axes.set_ylabel("training loss (nats a byte)")
    axes.set_ylim(1.8, 1.15 * max(itertools.chain.from_iterable(run.course.loss for run in story.runs)))
    axes.grid(alpha=0.25)
    axes.spines[["top", "right"]].set_visible(False)
    axes.legend(title="final evaluation loss", loc="upper right", bbox_to_anchor=(1.0, 0.88), frameon=False)
    axes.set_title("One training run, two faults: noticed, rolled back, recovered", loc="left")
    figure.savefig(path, format="png")


def _mark_rollbacks(axes: Axes, watched: RunOutcome) -> None:
    loss, went_back = watched.course.loss, watched.course.went_back
    batches = [index for index, _ in went_back]
    axes.scatter(batches, [loss[index] for index in batches], marker="v", s=46, color="#2b8a3e", zorder=5)
    for to_step, group in itertools.groupby(went_back, key=lambda pair: pair[1]):
        times = list(group)
        again = f", {len(times)} times" if len(times) > 1 else ""
        axes.annotate(
            f"back to step {to_step}{again}",
            (times[0][0], loss[times[0][0]]),
            (16, 6),
            textcoords="offset points",
            fontsize=8,
            color="#2b8a3e",
        )
