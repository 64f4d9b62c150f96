"""Joins what steps took with the energy that the ledger knows of the same time."""

from __future__ import annotations

from trimtab_monitor.folding.effort import Effort, Window
from trimtab_monitor.forecast.completion import Stops, Stretch
from trimtab_monitor.ledger.curve import EnergyCurve
from trimtab_monitor.ledger.ledger import EnergyLedger
from trimtab_monitor.ledger.units import MICRO, micros


def stretches_of(effort: Effort, ledger: EnergyLedger) -> list[Stretch]:
    """The windows of a run with their energy, where that is known to their end."""
    curve = _curve(ledger)
    return [
        Stretch(each.steps, each.end - each.start, each.paused_s, _joules(curve, each.start, each.end))
        for each in effort.windows
        if _is_sound(each)
    ]


def stops_of(effort: Effort, ledger: EnergyLedger) -> Stops:
    """How often the run began again, and what that took."""
    curve = _curve(ledger)
    known = [(start, end) for start, end in effort.stops if end > start]
    joules = [_joules(curve, start, end) or 0.0 for start, end in known]
    seconds = sum(end - start for start, end in known)
    return Stops(effort.stopped, effort.redone, len(known), seconds, sum(joules))


def _is_sound(window: Window) -> bool:
    return window.steps > 0 and window.end - window.start > window.paused_s


def _curve(ledger: EnergyLedger) -> EnergyCurve:
    """The energy of the devices that are added up: meters of whole nodes only where nothing else is."""
    return ledger.nodes.curve if ledger.parts.curve.start_us is None else ledger.parts.curve


def _joules(curve: EnergyCurve, start: float, end: float) -> float | None:
    from_us, to_us = micros(start), micros(end)
    if curve.start_us is None or curve.end_us is None or from_us < curve.start_us or to_us > curve.end_us:
        return None
    return curve.within(from_us, to_us) / MICRO
