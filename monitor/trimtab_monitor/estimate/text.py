"""The estimate for a terminal."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from trimtab_monitor.ledger.units import JOULES_PER_KWH
from trimtab_monitor.report import figures
from trimtab_monitor.report.summary import cost_lines


def as_text(estimate: Mapping[str, Any]) -> RenderableType:
    """A table of the figures, the judgement on a published one, and the assumptions."""
    return Group(*_sections(estimate))


def _sections(estimate: Mapping[str, Any]) -> Iterator[RenderableType]:
    table = Table(title="Estimate", title_justify="left", show_header=False)
    for name, figure in _lines(estimate):
        table.add_row(name, Text(figure))
    yield table
    if "published" in estimate:
        yield Text(estimate["published"]["verdict"], style="bold")
    for assumption in estimate["assumptions"]:
        yield Text(f"- {assumption}", style="dim")


def _lines(estimate: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    yield "Device hours", f"{estimate['device_hours']:,.10g} at {estimate['watts']:g} W"
    yield "IT energy", _energy(estimate["energy_it_kwh"])
    yield f"Energy of the site (PUE {estimate['pue']:g})", _energy(estimate["energy_kwh"])
    yield "Emissions, location-based", _mass(estimate["emissions_kg"])
    if estimate["emissions_market_kg"] is not None:
        yield "Emissions, market-based", _mass(estimate["emissions_market_kg"])
    if estimate["embodied_kg"] is not None:
        yield "Making of the devices, its share", _mass(estimate["embodied_kg"])
    if estimate["water_l"] is not None:
        yield "Water", figures.litres(estimate["water_l"])
    yield from cost_lines(estimate)


def _energy(kwh: float) -> str:
    return figures.energy(kwh * JOULES_PER_KWH)


def _mass(kg: float | None) -> str:
    return figures.mass(None if kg is None else kg * 1_000)
