"""The demo as people see it: a bar for each run, a line for what is noticed, tables at the end."""

from __future__ import annotations

import json
from pathlib import Path

from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, MofNCompleteColumn, Progress, TaskID, TextColumn, TimeRemainingColumn

from trimtab_monitor.console import make_console
from trimtab_monitor.demo.bill import make_bill
from trimtab_monitor.demo.collector import CollectorView
from trimtab_monitor.demo.plot import draw
from trimtab_monitor.demo.story import Name, play
from trimtab_monitor.demo.tables import as_json, show
from trimtab_monitor.demo.text import standard_library
from trimtab_monitor.demo.training import Course, Plan
from trimtab_monitor.pricing.places import lookup

TITLES: dict[Name, str] = {
    "clean": "1/3 clean",
    "unwatched": "2/3 with two faults, not watched",
    "watched": "3/3 with the same faults, watched",
}


def run_demo(*, steps: int, place: str, plot: Path | None, json_path: Path | None) -> None:
    """Play the three runs, telling what happens as it happens; write the picture and the JSON.

    Raises:
        ValueError: `place` is unknown.
        RuntimeError: the collector did not answer, or there is no text to train on.
        OSError: a file cannot be written.
    """
    lookup(place).usable()
    console = make_console()
    plan = Plan(steps=steps)
    console.print("Reading Python's standard library: the text to train on.")
    corpus = standard_library()
    with _progress(console) as progress:
        story = play(plan, corpus, _Teller(console, progress, steps).tell)
    bill = make_bill(story.watched.ledger, place)
    show(console, story, bill)
    if plot is not None:
        draw(story, plot)
        console.print(f"Picture: {escape(str(plot))}")
    if json_path is not None:
        json_path.write_text(json.dumps(as_json(story, bill), indent=2) + "\n")
        console.print(f"Result for machines: {escape(str(json_path))}")


def _progress(console: Console) -> Progress:
    return Progress(
        TextColumn("{task.description}"),
        BarColumn(),
        MofNCompleteColumn(),
        TextColumn("loss {task.fields[loss]:.3f}"),
        TimeRemainingColumn(),
        console=console,
        disable=not console.is_terminal,
    )


class _Teller:
    """Tells of progress, of new incidents and of rollbacks; in a pipe, a line every tenth of a run."""

    def __init__(self, console: Console, progress: Progress, steps: int) -> None:
        self._console = console
        self._progress = progress
        self._steps = steps
        self._bars: dict[Name, TaskID] = {}
        self._seen: set[str] = set()
        self._went_back = 0

    def tell(self, name: Name, course: Course, view: CollectorView | None, run: str | None) -> None:
        """Take one run's course after each batch."""
        if name not in self._bars:
            self._begin(name, view)
        self._progress.update(self._bars[name], completed=course.steps, loss=course.loss[-1])
        if not self._console.is_terminal and len(course.loss) % max(1, self._steps // 10) == 0:
            self._console.print(f"  step {course.steps}/{self._steps}  loss {course.loss[-1]:.3f}")
        if len(course.went_back) > self._went_back and view is not None and run is not None:
            self._tell_rollback(course, view, run)

    def _begin(self, name: Name, view: CollectorView | None) -> None:
        self._went_back = 0
        self._bars[name] = self._progress.add_task(TITLES[name], total=self._steps, loss=float("nan"))
        self._console.print(f"[bold]{TITLES[name]}[/bold]" + (f"  ({view.url})" if view else ""))

    def _tell_rollback(self, course: Course, view: CollectorView, run: str) -> None:
        self._went_back = len(course.went_back)
        for incident in view.incidents(run):
            if incident["id"] not in self._seen:
                self._seen.add(incident["id"])
                severity, summary = incident["severity"], escape(incident["summary"])
                self._console.print(f"  [red]{severity}[/red]: {summary}", soft_wrap=True)
        index, step = course.went_back[-1]
        self._console.print(f"  [green]rolled back[/green] to step {step} after batch {index + 1}")
