"""The way to a run's last step, in the shape in which the API and the report tell it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from trimtab_monitor.folding.run_state import RunState
from trimtab_monitor.forecast.band import LEVEL, Band
from trimtab_monitor.forecast.completion import ToGo, to_go
from trimtab_monitor.forecast.stretches import stops_of, stretches_of
from trimtab_monitor.ledger.units import JOULES_PER_KWH
from trimtab_monitor.liveness import LIVE

NO_TOTAL: Final = "no forecast: the run says no total_steps; give total_steps to trimtab.watch()"
OVER: Final = "no forecast: the run is over"
TOO_LITTLE: Final = "no forecast yet: too few steps were seen"
NO_ENERGY: Final = "energy to come is not known: no energy was measured over the steps so far"
NO_STOPS: Final = "the run never went back so far, so no lost work is foreseen"


def completion_of(state: RunState, body: Mapping[str, Any]) -> tuple[dict[str, Any] | None, list[str]]:
    """What is to come until the run's last step, and what to know of it; `body` is its ledger, priced."""
    total = state.registration.total_steps
    if total is None:
        return None, [NO_TOTAL]
    if state.status not in LIVE:
        return None, [OVER]
    stretches, stops = stretches_of(state.effort, state.ledger), stops_of(state.effort, state.ledger)
    found = to_go(stretches, state.effort.pauses, stops, max(0, total - state.last_step))
    if found is None:
        return None, [TOO_LITTLE]
    notes = [] if found.joules is not None else [NO_ENERGY]
    return _completion(state, found, body), [*notes, *([] if stops.count else [NO_STOPS])]


def _completion(state: RunState, found: ToGo, body: Mapping[str, Any]) -> dict[str, Any]:
    now = state.last_sample
    return {
        "steps_to_go": found.steps,
        "level": LEVEL,
        "seconds": found.seconds.as_json(),
        "ends_at": None if now is None else found.seconds.plus(now).as_json(),
        "pause_share": found.pause_share,
        "redo_share": found.redo_share,
        "to_go": _priced(found, body, 0.0),
        "total": _priced(found, body, 1.0),
    }


def _priced(found: ToGo, body: Mapping[str, Any], so_far: float) -> dict[str, Any]:
    """Energy with the factors that the energy so far had on average; `so_far` times that is added."""
    joules = found.joules
    done, facility = body["energy"]["joules"], body["facility_joules"]
    grams = body["emissions_g"]

    def scaled(known: float | None) -> dict[str, Any] | None:
        """What is in proportion to energy: as much a joule as so far."""
        if joules is None or known is None or not done:
            return None
        return joules.times(known / done).plus(so_far * known).as_json()

    return {
        "joules": None if joules is None else joules.plus(so_far * (done or 0.0)).as_json(),
        "kwh": scaled(None if facility is None else facility / JOULES_PER_KWH),
        "emissions_g": {name: scaled(grams[name]) for name in ("location", "market")},
        "cost": _cost(found, body, so_far),
        "currency": body["currency"],
    }


def _cost(found: ToGo, body: Mapping[str, Any], so_far: float) -> dict[str, Any] | None:
    """Electricity in proportion to energy and hours of devices to time, as far as they are known."""
    done, lived_s = body["energy"]["joules"], found.lived_s
    parts = {name: _in_currency(part, body["currency"]) for name, part in body["cost_parts"].items()}
    of_energy, of_time = parts["electricity"], parts["gpu_hours"]
    if body["cost"] is None or (of_energy is not None and (found.joules is None or not done)):
        return None
    cost = Band(0.0, 0.0, 0.0)
    if of_energy is not None and found.joules is not None:
        cost = cost.beside(found.joules.times(of_energy / done))
    if of_time is not None:
        cost = cost.beside(found.seconds.times(of_time / lived_s))
    return cost.plus(so_far * body["cost"]).as_json()


def _in_currency(part: Mapping[str, Any], currency: str) -> float | None:
    return None if part["currency"] != currency else part["amount"]
