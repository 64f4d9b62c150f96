"""What is to come of a run, in words: each figure with the interval in which it will likely lie."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from trimtab_monitor.ledger.units import JOULES_PER_KWH
from trimtab_monitor.report import figures

Told = Mapping[str, Any]


def forecast_lines(forecast: Told | None) -> Iterator[tuple[str, str]]:
    """The way to the last step, what the run will come to, and its loss there; nothing that is not told."""
    if forecast is None:
        return
    if forecast["completion"] is not None:
        yield from _completion(forecast["completion"])
    loss = forecast["loss"]
    if loss is not None and loss["at_end"] is not None:
        yield "Loss at the end, forecast", band(loss["at_end"], lambda value: f"{value:.4g}")
    if forecast["tokens"] is not None:
        yield "Tokens per parameter", _tokens(forecast["tokens"])


def forecast_notes(forecast: Told | None) -> list[str]:
    """What to know of the forecast."""
    return [] if forecast is None else list(forecast["notes"])


def band(told: Told | None, words: Callable[[float], str]) -> str:
    """A figure and its interval."""
    if told is None:
        return figures.UNKNOWN
    return f"{words(told['expected'])} (between {words(told['low'])} and {words(told['high'])})"


def _completion(completion: Told) -> Iterator[tuple[str, str]]:
    total = completion["total"]
    took = band(completion["seconds"], figures.duration)
    yield f"Time for {completion['steps_to_go']} steps to go", took
    yield (
        "Energy of the site at the end",
        band(total["kwh"], lambda kwh: figures.energy(kwh * JOULES_PER_KWH)),
    )
    if total["emissions_g"]["location"] is not None:
        yield "Emissions at the end, location-based", band(total["emissions_g"]["location"], figures.mass)
    if total["cost"] is not None:
        yield "Cost at the end", band(total["cost"], lambda cost: figures.money(cost, total["currency"]))


def _tokens(tokens: Told) -> str:
    at_end, optimal = tokens["per_parameter_at_end"], tokens["compute_optimal_per_parameter"]
    words = [f"{tokens['per_parameter']:.3g}"]
    words += [f"{at_end:.3g} at the end"] if at_end is not None else []
    words += [f"compute-optimal is about {optimal:g}"] if optimal is not None else []
    return ", ".join(words)
