"""The report for a terminal."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from trimtab_monitor.report import figures
from trimtab_monitor.report.comparison import (
    HEAD,
    SUMS_HEAD,
    comparison_rows,
    shared_assumptions,
    sums_rows,
)
from trimtab_monitor.report.rows import energy_rows
from trimtab_monitor.report.summary import summary_lines


def as_text(reports: Sequence[Mapping[str, Any]]) -> RenderableType:
    """One run in full, or several beside each other, and what the figures rest on."""
    return Group(*(_sections(reports[0]) if len(reports) == 1 else _compared(reports)))


def _compared(reports: Sequence[Mapping[str, Any]]) -> Iterator[RenderableType]:
    runs = _titled("Runs, and how far they are from the first", *HEAD)
    for row in comparison_rows(reports):
        runs.add_row(*_plain(*row))
    yield runs
    sums = _titled("Together, by phase", *SUMS_HEAD)
    for row in sums_rows(reports):
        sums.add_row(*_plain(*row))
    yield sums
    for assumption in shared_assumptions(reports):
        yield Text(f"- {assumption}", style="dim")


def _sections(report: Mapping[str, Any]) -> Iterator[RenderableType]:
    yield Text(f"Run {report['run']} ({report['status']}): {figures.steps(report)}", style="bold")
    if report["origin"]:
        yield Text("; ".join(figures.origin(report["origin"])), style="dim")
    yield _summary(report)
    if report["energy"]["by"]:
        yield _energy(report)
    if report["incidents"]:
        yield _incidents(report["incidents"])
    if report["rollbacks"]:
        yield _rollbacks(report["rollbacks"])
    for assumption in report["assumptions"]:
        yield Text(f"- {assumption}", style="dim")


def _summary(report: Mapping[str, Any]) -> Table:
    table = Table(show_header=False)
    for name, figure in summary_lines(report):
        table.add_row(name, Text(figure))
    return table


def _energy(report: Mapping[str, Any]) -> Table:
    table = _titled("Energy", "host", "device", "part", "method", ">energy", ">not known for")
    for row in energy_rows(report):
        gap = figures.duration(row.gap_seconds) if row.gap_seconds else ""
        table.add_row(
            *_plain(row.host, row.device, row.component, row.method, figures.energy(row.joules), gap)
        )
    return table


def _incidents(incidents: Sequence[Mapping[str, Any]]) -> Table:
    table = _titled("Incidents", ">step", "severity", "kind", "state", "what")
    for each in incidents:
        table.add_row(
            *_plain(each["start_step"], each["severity"], each["kind"], each["state"], each["summary"])
        )
    return table


def _rollbacks(rollbacks: Sequence[Mapping[str, Any]]) -> Table:
    table = _titled("Rollbacks", ">to step", ">rate x", "why")
    for each in rollbacks:
        table.add_row(*_plain(each["to_step"], each["lr_factor"], each["reason"]))
    return table


def _titled(title: str, *columns: str) -> Table:
    """An empty table; a column that begins with > is of numbers."""
    table = Table(title=title, title_justify="left")
    for column in columns:
        table.add_column(column.removeprefix(">"), justify="right" if column.startswith(">") else "left")
    return table


def _plain(*cells: object) -> list[Text]:
    """Cells as they are: what a job calls itself is no markup."""
    return [Text(str(cell)) for cell in cells]
