"""The demo's result: for machines as JSON, for people as tables."""

from __future__ import annotations

from typing import Any

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from trimtab_monitor.demo.bill import Bill
from trimtab_monitor.demo.story import RunOutcome, Story


def as_json(story: Story, bill: Bill) -> dict[str, Any]:
    """Return the result in the shape that the command line promises."""
    return {
        "runs": [
            {
                "name": run.name,
                "final_eval_loss": run.course.final_eval_loss,
                "steps": run.course.steps,
                "incidents": len(run.incidents),
                "rollbacks": len(run.rollbacks),
            }
            for run in story.runs
        ],
        "faults": [
            {
                "kind": each.fault.kind,
                "start_step": each.start_step,
                "end_step": each.end_step,
                "detected_step": each.detected_step,
                "rolled_back_to": each.rolled_back_to,
            }
            for each in story.faults
        ],
        "energy": bill.energy,
        "emissions_g": bill.emissions_g,
        "lost_work": bill.lost_work,
        "assumptions": bill.assumptions,
    }


def show(console: Console, story: Story, bill: Bill) -> None:
    """Print the three runs, the two faults, and the watched run's bill."""
    console.print(_runs(story))
    console.print(_faults(story))
    console.print(_costs(story, bill))
    for assumption in bill.assumptions:
        console.print(f"[dim]- {escape(assumption)}[/dim]", soft_wrap=True)


def _runs(story: Story) -> Table:
    table = Table(title="Three runs from one seed", title_justify="left")
    for heading in (
        "run",
        "final eval loss",
        "against clean",
        "steps",
        "incidents",
        "rollbacks",
        "steps lost",
    ):
        table.add_column(heading, justify="left" if heading == "run" else "right")
    clean = story.runs[0].course.final_eval_loss
    for run in story.runs:
        unwatched = run.run is None
        table.add_row(
            run.name,
            f"{run.course.final_eval_loss:.4f}",
            f"{run.course.final_eval_loss / clean - 1:+.1%}",
            str(run.course.steps),
            "-" if unwatched else str(len(run.incidents)),
            "-" if unwatched else str(len(run.rollbacks)),
            str(_steps_lost(run)),
        )
    return table


def _steps_lost(run: RunOutcome) -> int:
    return len(run.course.loss) - run.course.steps


def _faults(story: Story) -> Table:
    table = Table(title="What happened in the watched run", title_justify="left")
    for heading in ("fault", "first bad step", "detected at step", "rolled back to step"):
        table.add_column(heading, justify="left" if heading == "fault" else "right")
    for each in story.faults:
        table.add_row(
            each.fault.kind.replace("_", " "),
            str(each.start_step),
            "not noticed" if each.detected_step is None else str(each.detected_step),
            "not rolled back" if each.rolled_back_to is None else str(each.rolled_back_to),
        )
    return table


def _costs(story: Story, bill: Bill) -> Table:
    table = Table(title="What the watched run cost", title_justify="left")
    table.add_column("what")
    table.add_column("how much", justify="right")
    table.add_column("how it is known")
    table.add_row("time", f"{story.watched.seconds:.1f} s", "clock")
    for row in bill.energy["by"]:
        table.add_row(
            f"energy, {row['component']}", _joules(row["joules"]), f"{row['method']}: {row['device']}"
        )
    location = bill.emissions_g["location"]
    table.add_row("carbon", "unknown" if location is None else f"{location:.3f} gCO2e", "location-based")
    lost = bill.lost_work
    table.add_row(
        "of it lost to rollbacks",
        _joules(lost["joules"]),
        f"{lost['steps']} steps, {lost['seconds']:.1f} s",
    )
    return table


def _joules(joules: float | None) -> str:
    return "unknown" if joules is None else f"{joules:,.0f} J"
