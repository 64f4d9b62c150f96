"""The report for documents."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from trimtab_monitor.report import figures
from trimtab_monitor.report.comparison import (
    HEAD,
    SUMS_HEAD,
    comparison_rows,
    shared_assumptions,
    sums_rows,
)
from trimtab_monitor.report.rows import EnergyRow, energy_rows
from trimtab_monitor.report.summary import summary_lines


def as_markdown(reports: Sequence[Mapping[str, Any]]) -> str:
    """One run in full, or several beside each other, with tables."""
    if len(reports) == 1:
        return "\n".join(_lines(reports[0]))
    return "\n".join([f"# {len(reports)} runs", "", *comparison_lines(reports)])


def comparison_lines(reports: Sequence[Mapping[str, Any]]) -> Iterator[str]:
    """A line a run with differences to the first, the sums of each phase, and what they rest on."""
    yield from table(HEAD, comparison_rows(reports))
    yield ""
    yield from table(SUMS_HEAD, sums_rows(reports))
    yield ""
    for assumption in shared_assumptions(reports):
        yield f"- {assumption}"


def _lines(report: Mapping[str, Any]) -> Iterator[str]:
    yield f"# Run {_cell(report['run'])}"
    yield ""
    yield f"{report['status']}, {figures.steps(report)}."
    yield ""
    if report["origin"]:
        yield f"From: {_cell('; '.join(figures.origin(report['origin'])))}"
        yield ""
    yield from impact_lines(report)
    if report["incidents"]:
        yield from ("", "## Incidents", "")
        yield from table(
            ("step", "severity", "kind", "state", "what"),
            [
                (each["start_step"], each["severity"], each["kind"], each["state"], each["summary"])
                for each in report["incidents"]
            ],
        )
    if report["rollbacks"]:
        yield from ("", "## Rollbacks", "")
        yield from table(
            ("to step", "learning rate x", "why"),
            [(each["to_step"], each["lr_factor"], each["reason"]) for each in report["rollbacks"]],
        )


def impact_lines(report: Mapping[str, Any]) -> Iterator[str]:
    """The figures of a run, how its energy is known, and what they rest on."""
    yield from table(("figure", "value"), summary_lines(report))
    if report["energy"]["by"]:
        yield ""
        yield from table(
            ("host", "device", "part", "method", "joules", "seconds not known"),
            [_energy_row(row) for row in energy_rows(report)],
        )
    if report["assumptions"]:
        yield ""
    for assumption in report["assumptions"]:
        yield f"- {assumption}"


def _energy_row(row: EnergyRow) -> tuple[object, ...]:
    joules = figures.UNKNOWN if row.joules is None else f"{row.joules:.3f}"
    return row.host, row.device, row.component, row.method, joules, f"{row.gap_seconds:.1f}"


def table(head: Sequence[str], rows: Sequence[Sequence[object]]) -> Iterator[str]:
    """The lines of a table; what is in a cell cannot break it."""
    yield f"| {' | '.join(head)} |"
    yield f"|{'---|' * len(head)}"
    for row in rows:
        yield f"| {' | '.join(_cell(cell) for cell in row)} |"


def _cell(value: object) -> str:
    return " ".join(str(value).split()).replace("|", "\\|")
