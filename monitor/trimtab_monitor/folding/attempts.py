"""A run goes back: what was lived after that step is lived again, and what it cost is lost."""

from __future__ import annotations

from trimtab.wire import INT64_MAX
from trimtab_monitor.folding.effects import Effects
from trimtab_monitor.folding.outcomes import close_command
from trimtab_monitor.folding.run_state import RunState
from trimtab_monitor.folding.standstill import go_on, stand_still
from trimtab_monitor.ledger.lost_work import Cause


def enter_attempt(
    state: RunState,
    attempt: int,
    to_step: int,
    left_at: float | None,
    resumed_at: float | None,
    by_command: bool = False,
) -> bool:
    """The run goes on from the end of `to_step` in `attempt`; False if it is there already.

    Times are Unix seconds of the job's clock: the old attempt ended at `left_at`, the new one goes on from
    `resumed_at`; none where that is not known.
    """
    if attempt <= state.attempt:
        return False
    known = [time for time in (left_at, resumed_at) if time is not None]
    if known:
        go_on(state, max(known))
    cause: Cause = "rollback" if by_command or _was_restored(state, attempt, to_step) else "restart"
    _lose(state, cause, to_step, left_at)
    if cause == "restart" and state.liveness.end != "finished":
        stand_still(state, cause, left_at)
    state.attempt = attempt
    state.last_step = min(state.last_step, to_step)
    state.liveness.rewind(to_step)
    state.shards.clear()
    state.losses.clear()
    state.latest_steps.clear()
    state.timeline.resume(to_step, resumed_at)
    state.effort.rewind(to_step)
    return True


def _was_restored(state: RunState, attempt: int, to_step: int) -> bool:
    """Whether a command took it there, as it said before."""
    return state.rollback.restored_step == to_step and state.rollback.attempt >= attempt


def _lose(state: RunState, cause: Cause, to_step: int, left_at: float | None) -> None:
    steps = state.last_step - to_step
    began_at = state.timeline.time_at(to_step)
    if steps <= 0 or began_at is None or left_at is None:
        return
    steps = min(steps, INT64_MAX - state.ledger.lost_steps)  # no sender can make it more than can be kept
    state.ledger.lose(cause, began_at, left_at, steps)


def expire_commands(state: RunState, effects: Effects) -> None:
    """Commands that were meant for an older attempt will never be obeyed."""
    for command in list(state.commands.values()):
        if command.attempt < state.attempt:
            close_command(state, effects, command, "expired")
