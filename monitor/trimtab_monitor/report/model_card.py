"""A model card's metadata as the Hugging Face Hub reads it, and a section for the card.

https://huggingface.co/docs/hub/model-cards-co2: `emissions` is in grams of CO2e.
"""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from typing import Any, Final

from trimtab_monitor.report import figures
from trimtab_monitor.report.comparison import Report, known_sum
from trimtab_monitor.report.markdown import comparison_lines, impact_lines

_TRAINING_TYPE: Final[Mapping[str, str]] = {"pretraining": "pre-training", "post-training": "fine-tuning"}


def as_model_card(reports: Sequence[Report]) -> str:
    """The card of a model that these runs made: their sum, with what each run had to do with it.

    Raises:
        ValueError: the runs are of several phases, which are never added up.
    """
    phases = sorted({report["phase"] or "not told" for report in reports})
    if len(phases) > 1:
        raise ValueError(
            f"model-card: the runs are of several phases ({', '.join(phases)}), which are not added up: "
            "give those of one phase"
        )
    impact = impact_lines(reports[0]) if len(reports) == 1 else comparison_lines(reports)
    return "\n".join(["---", *_metadata(reports), "---", "", "## Environmental impact", "", *impact])


def _metadata(reports: Sequence[Report]) -> Iterator[str]:
    """YAML. A string in JSON is a string in YAML too, whatever is in it.

    One run of which nothing is known, or not of all its hours, makes the sum unknown: a card never tells too
    little, and the Hub reads no `co2_eq_emissions` without `emissions`.
    """
    location = reports[0]["factors"]["location"]
    grams = [_grams(report) for report in reports]
    total = known_sum(grams)
    if total is None or None in grams:
        yield "# co2_eq_emissions: not known, see below for what to set"
        return
    yield "co2_eq_emissions:"
    yield f"  emissions: {_decimal(total)}"
    yield f"  source: {json.dumps(_source(reports))}"
    if reports[0]["phase"] in _TRAINING_TYPE:
        yield f"  training_type: {json.dumps(_TRAINING_TYPE[reports[0]['phase']])}"
    if location.get("name"):
        yield f"  geographical_location: {json.dumps(location['name'])}"
    hardware = sorted({figures.hardware(report) for report in reports} - {""})
    if hardware:
        yield f"  hardware_used: {json.dumps('; '.join(hardware))}"


def _grams(report: Report) -> float | None:
    """The emissions of all its energy; none if some of it has no intensity."""
    if report["factors"]["location"].get("unpriced_kwh"):
        return None
    grams: float | None = report["emissions_g"]["location"]
    return grams


def _decimal(value: float) -> str:
    """To six digits and without an exponent, which YAML may read as a word."""
    rounded = float(f"{value:.6g}")
    return f"{rounded:.12f}".rstrip("0").rstrip(".")


def _source(reports: Sequence[Report]) -> str:
    methods = sorted({row["method"] for report in reports for row in report["energy"]["by"]})
    factors: Mapping[str, Any] = reports[0]["factors"]
    where = _where(reports)
    grid = f", grid {where}" if where else ""
    runs = f" of {len(reports)} runs" if len(reports) > 1 else ""
    how = ", ".join(methods or ["nothing measured"])
    return f"Trimtab: energy{runs} by {how}{grid}, {figures.pue(factors)}"


def _where(reports: Sequence[Report]) -> str:
    """The grid, with its intensity; where the runs' differ, the mean of all the energy that they used."""
    told = {figures.place(report["factors"]) for report in reports}
    if len(told) == 1:
        return told.pop()
    parts = [part for report in reports for part in report["factors"]["location"]["priced_by"]]
    kwh = sum(part["kwh"] for part in parts)
    return figures.mean_of_hours(sum(part["grams"] for part in parts) / kwh) if kwh else ""
