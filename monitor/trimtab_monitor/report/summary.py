"""The figures of a run in words, each with what it is: the head of a report."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any, Final

from trimtab_monitor.report import figures
from trimtab_monitor.report.forecast_lines import forecast_lines

Report = Mapping[str, Any]
Line = tuple[str, str]

_PARTS: Final[Mapping[str, str]] = {"gpu_hours": "GPU hours"}


def summary_lines(report: Report) -> list[Line]:
    """What is always told, and what there is beside it."""
    return [
        *_energy(report),
        *_emissions(report),
        *cost_lines(report),
        *_lost(report),
        *_budgets(report),
        *forecast_lines(report["forecast"]),
    ]


def _energy(report: Report) -> Iterator[Line]:
    energy = report["energy"]["joules"]
    yield "IT energy", figures.energy(energy) + _doubt(report)
    yield f"Energy of the site ({figures.pue(report['factors'])})", figures.energy(report["facility_joules"])
    if report["others_joules"]:
        told = figures.energy(report["others_joules"])
        yield "Other jobs on the same devices", f"{told}, in no sum (an estimate)"
    if report["gpu_hours"] is not None:
        yield "GPU hours", f"{report['gpu_hours']:,.2f} h"
    if report["water_l"] is not None:
        yield "Water", figures.litres(report["water_l"])


def _doubt(report: Report) -> str:
    low, high = report["interval"]["low_joules"], report["interval"]["high_joules"]
    if low is None or low == high:
        return ""
    return f" (between {figures.energy(low)} and {figures.energy(high)})"


def _emissions(report: Report) -> Iterator[Line]:
    emissions, where = report["emissions_g"], figures.place(report["factors"])
    yield "Emissions, location-based", figures.mass(emissions["location"]) + (f" ({where})" if where else "")
    yield "Emissions, market-based", figures.mass(emissions["market"])
    if report["marginal_g"] is not None:
        yield "Emissions, marginal (in no sum)", figures.mass(report["marginal_g"])
    if report["embodied_g"] is not None:
        yield "Making of the devices, its share", figures.mass(report["embodied_g"])


def cost_lines(report: Report) -> Iterator[Line]:
    """The cost, and its parts where there are several or one is in another currency."""
    yield "Cost", figures.money(report["cost"], report["currency"])
    known = {name: part for name, part in report["cost_parts"].items() if part["amount"] is not None}
    if len(known) > 1 or any(part["currency"] != report["currency"] for part in known.values()):
        for name, part in known.items():
            yield f"Cost of {_PARTS.get(name, name)}", figures.money(part["amount"], part["currency"])


def _lost(report: Report) -> Iterator[Line]:
    energy, lost = report["energy"]["joules"], report["lost_work"]
    yield "Lost work", f"{lost['steps']} steps, {figures.duration(lost['seconds'])}"
    yield "Lost energy", figures.energy(lost["joules"]) + figures.share(lost["joules"], energy)
    for each in report["lost_by_cause"]:
        took = f"{each['steps']} steps, {figures.duration(each['seconds'])}, {figures.energy(each['joules'])}"
        yield f"Lost by {each['cause']}", took


def _budgets(report: Report) -> Iterator[Line]:
    for line in report["budget"]:
        limit = f"{line['limit']:,g} {line['unit']}"
        if line["ratio"] is None:
            yield f"Budget {line['name']}", f"{limit}: {line['note'] or figures.UNKNOWN}"
        else:
            yield f"Budget {line['name']}", f"{line['ratio']:.1%} of {limit} used at most"
