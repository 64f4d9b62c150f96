"""When a run made no step though it should have: it hung, or its process was gone. That time is lost."""

from __future__ import annotations

import math

from trimtab import wire
from trimtab_monitor.folding.run_state import RunState
from trimtab_monitor.ledger.lost_work import Cause, Standstill
from trimtab_monitor.types import Sample


def stand_still(state: RunState, cause: Cause, since: float | None) -> None:
    """The run makes no step since then (Unix seconds of the job's clock; none: it never made one)."""
    if since is not None and state.standstill is None:
        state.standstill = Standstill(cause, since)


def go_on(state: RunState, until: float) -> None:
    """It ended, or makes steps again."""
    still, state.standstill = state.standstill, None
    if still is not None:
        state.ledger.lose(still.cause, still.since, until)


def first_step(state: RunState, sample: Sample) -> None:
    """A step that is new: what lies before it, without the time that it took itself, is lost."""
    if state.standstill is not None and sample.step > state.last_step:
        took = sample.values.get(wire.STEP_SECONDS, 0.0)
        waited = sample.time - state.standstill.since
        go_on(state, sample.time - (took if math.isfinite(took) and 0 <= took <= waited else 0.0))
