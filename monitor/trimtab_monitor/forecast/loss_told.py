"""The forecast of a run's loss, and what it costs in energy, as the API and the report tell it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from trimtab_monitor.folding.run_state import RunState
from trimtab_monitor.forecast.band import LEVEL, Band
from trimtab_monitor.forecast.completion import LEAST_STEPS, to_go
from trimtab_monitor.forecast.loss import FARTHEST, LossForecast
from trimtab_monitor.forecast.power_law import Curve
from trimtab_monitor.forecast.settings import ForecastSettings
from trimtab_monitor.forecast.stretches import stops_of, stretches_of
from trimtab_monitor.ledger.units import JOULES_PER_KWH
from trimtab_monitor.liveness import LIVE

TOO_LITTLE: Final = "no forecast of the loss yet: too few steps tell one"
SCHEDULE: Final = (
    "the loss is forecast by a power law; a learning rate that decays to the end lets it fall further, "
    "so the interval is wider below"
)
FLAT: Final = "the loss does not fall: it is taken to stay about where it is"
LEAST_ROWS: Final = 500
YOUNG: Final = 0.2
"""Nobody is advised of fewer steps, or in such a first part of a run: its loss may still wait to fall."""

LOOK_AHEAD: Final = 0.1
"""Energy a step is that of the next tenth of the steps so far."""


def loss_told(
    state: RunState,
    body: Mapping[str, Any],
    found: LossForecast | None,
    settings: ForecastSettings,
    target: float | None,
) -> tuple[dict[str, Any] | None, list[str]]:
    """The loss to come, and what to know of it."""
    if found is None:
        return None, [TOO_LITTLE]
    total = state.registration.total_steps
    kwh_a_step = _kwh_a_step(state, body)
    returns = _returns(found, settings, kwh_a_step, total)
    best = found.law.best if found.falls else None
    told = {
        "level": LEVEL,
        "now": found.now,
        "law": None if best is None else _law(best),
        "at_end": None if total is None or state.status not in LIVE else _at_end(found, total),
        "per_kwh": None if not kwh_a_step else found.slope().times(1.0 / kwh_a_step).as_json(),
        "returns": returns,
        "target": None if target is None else _target(found, target, kwh_a_step),
    }
    return told, [SCHEDULE if found.falls else FLAT, *([returns["advice"]] if returns["diminish"] else [])]


def _at_end(found: LossForecast, total: int) -> dict[str, Any] | None:
    """The loss at the last step, or now if that is passed; null where it is too far for any law."""
    return found.at(max(float(total), found.step)).as_json() if total <= FARTHEST * found.step else None


def _law(of: Curve) -> dict[str, float]:
    return {"a": of.level, "b": of.fall, "c": of.exponent, "start_step": of.start}


def _kwh_a_step(state: RunState, body: Mapping[str, Any]) -> float | None:
    """Energy of the site that a step takes from here on, in kWh."""
    joules: float | None = body["energy"]["joules"]
    facility: float | None = body["facility_joules"]
    if not joules or not facility:
        return None
    steps = max(LEAST_STEPS, round(LOOK_AHEAD * state.last_step))
    stretches, stops = stretches_of(state.effort, state.ledger), stops_of(state.effort, state.ledger)
    ahead = to_go(stretches, state.effort.pauses, stops, steps)
    if ahead is None or ahead.joules is None:
        return None
    return ahead.joules.expected / steps * (facility / joules) / JOULES_PER_KWH


def _returns(
    found: LossForecast, settings: ForecastSettings, kwh_a_step: float | None, total: int | None
) -> dict[str, Any]:
    """What the next part of the steps brings; it diminishes if even the best that is likely is little.

    At the pace of now a part of the steps takes that part of the energy.
    """
    steps = settings.next_share * found.step
    gain = found.gain(steps)
    diminish = _may_be_judged(found, total) and gain.high < settings.least_gain * abs(found.now)
    share, least = f"{100 * settings.next_share:g} %", f"{100 * settings.least_gain:g} %"
    return {
        "next_share": settings.next_share,
        "kwh": None if kwh_a_step is None else kwh_a_step * steps,
        "gain": gain.as_json(),
        "diminish": diminish,
        "advice": f"returns diminish: {share} more energy is forecast to lower the loss by less than {least}"
        if diminish
        else None,
    }


def _may_be_judged(found: LossForecast, total: int | None) -> bool:
    """Not on a plateau of the beginning: the loss fell before, and the run is no longer young."""
    return found.fell and found.rows >= LEAST_ROWS and found.step >= YOUNG * (total or 0)


def _target(found: LossForecast, target: float, kwh_a_step: float | None) -> dict[str, Any]:
    """What it takes to get to a loss; null where the power law never gets there."""
    steps = found.steps_to(target)
    return {
        "loss": target,
        "steps": None if steps is None else _finite(steps),
        "kwh": None if steps is None or kwh_a_step is None else _finite(steps.times(kwh_a_step)),
    }


def _finite(band: Band) -> dict[str, Any]:
    """A high end that may never come is null."""
    told = band.as_json()
    return {name: value if value < float("inf") else None for name, value in told.items()}
