"""The forecast of a run: the key `forecast` of `GET /v1/runs/{run}/ledger`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

from trimtab_monitor.entries import Registration
from trimtab_monitor.folding.run_state import RunState
from trimtab_monitor.forecast.completion_told import completion_of
from trimtab_monitor.forecast.histories import Histories
from trimtab_monitor.forecast.loss_told import loss_told
from trimtab_monitor.forecast.settings import ForecastSettings

COMPUTE_OPTIMAL: Final = 20.0
"""Tokens a parameter at which a budget of compute is best spent on pretraining (Hoffmann et al. 2022,
arXiv:2203.15556, table 3: about 20)."""


def forecast_of(
    state: RunState,
    body: Mapping[str, Any],
    histories: Histories,
    settings: ForecastSettings,
    target_loss: float | None,
) -> dict[str, Any]:
    """What is to come of a run whose ledger, priced, is `body`; null where it cannot be told, and why."""
    completion, notes = completion_of(state, body)
    target = settings.target_loss if target_loss is None else target_loss
    loss, loss_notes = loss_told(state, body, histories.of(state), settings, target)
    return {
        "completion": completion,
        "loss": loss,
        "tokens": tokens_told(state.registration, state.last_step),
        "notes": [*notes, *loss_notes],
    }


def tokens_told(told: Registration, steps: int) -> dict[str, Any] | None:
    """Tokens a parameter so far and at the end, beside the compute-optimal ratio of pretraining."""
    if not told.tokens_per_step or not told.parameters:
        return None
    each_step = told.tokens_per_step / told.parameters
    return {
        "seen": told.tokens_per_step * steps,
        "per_parameter": each_step * steps,
        "per_parameter_at_end": None if told.total_steps is None else each_step * told.total_steps,
        "compute_optimal_per_parameter": COMPUTE_OPTIMAL if told.phase in (None, "pretraining") else None,
    }
