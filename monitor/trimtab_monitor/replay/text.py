"""Tells people what a replay found: a table on a terminal, plain lines elsewhere."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Final

from rich.console import Console, Group, RenderableType
from rich.table import Table
from rich.text import Text

from trimtab_monitor.kinds import KINDS
from trimtab_monitor.types import Incident

if TYPE_CHECKING:  # it brings all detectors, and who follows a log has none
    from trimtab_monitor.replay.runner import Replayed

KIND_WIDTH: Final = max(map(len, KINDS))
STYLES: Final = {"info": "cyan", "warning": "yellow", "critical": "bold red"}


def tell(replayed: Replayed, console: Console) -> None:
    """Print what was found in one file."""
    if console.is_terminal:
        console.print(_panel(replayed))
        return
    for line in plain_lines(replayed):
        console.print(line, soft_wrap=True, markup=False, highlight=False)


def plain_lines(replayed: Replayed) -> Iterator[str]:
    """A line for the file and one for each incident, for pipes and files."""
    yield headline(replayed, str(replayed.path))
    for incident in replayed.incidents:
        yield (
            f"  {incident.severity:8} {incident.kind:{KIND_WIDTH}} {_steps(incident)}, "
            f"detected at {incident.detected_step}: {incident.summary}"
        )


def headline(replayed: Replayed, name: str) -> str:
    """What a run is called, and what there was in it."""
    return f"{name}: {counted(replayed)}"


def counted(replayed: Replayed) -> str:
    """How many rows and incidents there were."""
    count = len(replayed.incidents)
    found = "no incident" if count == 0 else "1 incident" if count == 1 else f"{count} incidents"
    return f"{replayed.rows} rows, {found}"


def _steps(incident: Incident) -> str:
    if incident.end_step is None:
        return f"from step {incident.start_step}, open at the end"
    if incident.end_step == incident.start_step:
        return f"step {incident.start_step}"
    return f"steps {incident.start_step} to {incident.end_step}"


def _panel(replayed: Replayed) -> RenderableType:
    title = Text(headline(replayed, str(replayed.path)), style="bold")
    if not replayed.incidents:
        return title
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim")
    for name in ("severity", "kind", "steps", "detected"):
        table.add_column(name, no_wrap=True)
    table.add_column("what happened", ratio=1)
    for incident in replayed.incidents:
        end = "…" if incident.end_step is None else str(incident.end_step)
        steps = (
            str(incident.start_step) if end == str(incident.start_step) else f"{incident.start_step}-{end}"
        )
        table.add_row(
            Text(incident.severity, style=STYLES[incident.severity]),
            incident.kind,
            steps,
            str(incident.detected_step),
            incident.summary,
        )
    return Group(title, table)
