"""The report for a terminal."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from trimtab_monitor.report import figures


def as_text(report: Mapping[str, Any]) -> RenderableType:
    """Tables of energy, carbon and cost, lost work, incidents and rollbacks, and the assumptions."""
    return Group(*_sections(report))


def _sections(report: Mapping[str, Any]) -> Iterator[RenderableType]:
    steps, lasted = report["steps"], figures.duration(report["duration_s"])
    yield Text(f"Run {report['run']} ({report['status']}): {steps} steps in {lasted}", style="bold")
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


def summary_lines(report: Mapping[str, Any]) -> list[tuple[str, str]]:
    """The figures of a run, each with what it is."""
    energy, lost = report["energy"]["joules"], report["lost_work"]
    emissions, currency = report["emissions_g"], report["currency"]
    where = figures.place(report["factors"])
    return [
        ("IT energy", figures.energy(energy)),
        (f"Energy of the site ({figures.pue(report['factors'])})", figures.energy(report["facility_joules"])),
        ("Emissions, location-based", figures.mass(emissions["location"]) + (f" ({where})" if where else "")),
        ("Emissions, market-based", figures.mass(emissions["market"])),
        ("Cost", figures.money(report["cost"], currency)),
        ("Lost work", f"{lost['steps']} steps, {figures.duration(lost['seconds'])}"),
        ("Lost energy", figures.energy(lost["joules"]) + figures.share(lost["joules"], energy)),
    ]


def _summary(report: Mapping[str, Any]) -> Table:
    table = Table(show_header=False)
    for name, figure in summary_lines(report):
        table.add_row(name, Text(figure))
    return table


def _energy(report: Mapping[str, Any]) -> Table:
    table = _table("Energy", "host", "device", "part", "method", ">energy", ">not known for")
    for row in report["energy"]["by"]:
        device = report["devices"][row["device"]]
        gap = figures.duration(row["gap_seconds"]) if row["gap_seconds"] else ""
        table.add_row(
            *_plain(row["host"], device, row["component"], row["method"], figures.energy(row["joules"]), gap)
        )
    return table


def _incidents(incidents: Sequence[Mapping[str, Any]]) -> Table:
    table = _table("Incidents", ">step", "severity", "kind", "state", "what")
    for each in incidents:
        table.add_row(
            *_plain(each["start_step"], each["severity"], each["kind"], each["state"], each["summary"])
        )
    return table


def _rollbacks(rollbacks: Sequence[Mapping[str, Any]]) -> Table:
    table = _table("Rollbacks", ">to step", ">rate x", "why")
    for each in rollbacks:
        table.add_row(*_plain(each["to_step"], each["lr_factor"], each["reason"]))
    return table


def _table(title: str, *columns: str) -> Table:
    table = Table(title=title, title_justify="left")
    for column in columns:
        table.add_column(column.removeprefix(">"), justify="right" if column.startswith(">") else "left")
    return table


def _plain(*cells: object) -> list[Text]:
    """Cells as they are: what a job calls itself is no markup."""
    return [Text(str(cell)) for cell in cells]
