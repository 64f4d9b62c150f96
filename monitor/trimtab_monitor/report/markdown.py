"""The report for documents: Markdown, and a model card as the Hugging Face Hub reads it."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from trimtab_monitor.report import figures
from trimtab_monitor.report.text import summary_lines

_TRAINING_TYPE: Final[Mapping[str, str]] = {"pretraining": "pre-training", "post-training": "fine-tuning"}


def as_markdown(report: Mapping[str, Any]) -> str:
    """The report as Markdown with tables."""
    return "\n".join(_lines(report))


def as_model_card(report: Mapping[str, Any]) -> str:
    """The metadata that the Hub shows as the emissions of a model, and a section for its card."""
    return "\n".join(["---", *_metadata(report), "---", "", "## Environmental impact", "", *_impact(report)])


def _lines(report: Mapping[str, Any]) -> Iterator[str]:
    steps, lasted = report["steps"], figures.duration(report["duration_s"])
    yield f"# Run {_cell(report['run'])}"
    yield ""
    yield f"{report['status']}, {steps} steps in {lasted}."
    yield ""
    if report["origin"]:
        yield f"From: {_cell('; '.join(figures.origin(report['origin'])))}"
        yield ""
    yield from _impact(report)
    if report["incidents"]:
        yield from ("", "## Incidents", "")
        yield from _table(
            ("step", "severity", "kind", "state", "what"),
            [
                (each["start_step"], each["severity"], each["kind"], each["state"], each["summary"])
                for each in report["incidents"]
            ],
        )
    if report["rollbacks"]:
        yield from ("", "## Rollbacks", "")
        yield from _table(
            ("to step", "learning rate x", "why"),
            [(each["to_step"], each["lr_factor"], each["reason"]) for each in report["rollbacks"]],
        )


def _impact(report: Mapping[str, Any]) -> Iterator[str]:
    yield from _table(("figure", "value"), summary_lines(report))
    if report["energy"]["by"]:
        yield ""
        yield from _table(
            ("host", "device", "part", "method", "joules", "seconds not known"),
            [_energy_row(report, row) for row in report["energy"]["by"]],
        )
    if report["assumptions"]:
        yield ""
    for assumption in report["assumptions"]:
        yield f"- {assumption}"


def _energy_row(report: Mapping[str, Any], row: Mapping[str, Any]) -> tuple[object, ...]:
    joules = figures.UNKNOWN if row["joules"] is None else f"{row['joules']:.3f}"
    device = report["devices"][row["device"]]
    return row["host"], device, row["component"], row["method"], joules, f"{row['gap_seconds']:.1f}"


def _table(head: Sequence[str], rows: Sequence[Sequence[object]]) -> Iterator[str]:
    yield f"| {' | '.join(head)} |"
    yield f"|{'---|' * len(head)}"
    for row in rows:
        yield f"| {' | '.join(_cell(cell) for cell in row)} |"


def _cell(value: object) -> str:
    return " ".join(str(value).split()).replace("|", "\\|")


def _metadata(report: Mapping[str, Any]) -> Iterator[str]:
    """YAML. A string in JSON is a string in YAML too, whatever is in it."""
    grams, location = report["emissions_g"]["location"], report["factors"]["location"]
    yield "co2_eq_emissions:"
    if grams is None:
        yield "  # emissions are not known: see the assumptions below for what to set"
    else:
        yield f"  emissions: {grams:.6g}"
    yield f"  source: {json.dumps(_source(report))}"
    if report["phase"] in _TRAINING_TYPE:
        yield f"  training_type: {json.dumps(_TRAINING_TYPE[report['phase']])}"
    if location.get("name"):
        yield f"  geographical_location: {json.dumps(location['name'])}"
    if figures.hardware(report):
        yield f"  hardware_used: {json.dumps(figures.hardware(report))}"


def _source(report: Mapping[str, Any]) -> str:
    methods = sorted({row["method"] for row in report["energy"]["by"]}) or ["nothing measured"]
    where = figures.place(report["factors"])
    grid = f", grid {where}" if where else ""
    return f"Trimtab: energy by {', '.join(methods)}{grid}, {figures.pue(report['factors'])}"
