"""The last value of each metric, as lists and `/metrics` tell it."""

from __future__ import annotations

from typing import Final

from trimtab import wire
from trimtab_monitor.folding.rank_losses import HIGHEST, LOWEST, MEAN
from trimtab_monitor.folding.run_state import RunState
from trimtab_monitor.folding.shards import MARK
from trimtab_monitor.types import Sample

MAX_METRICS: Final = 512
"""Of how many beside the standard ones it is remembered; more are in the log and charted all the same."""

STANDARD: Final = frozenset(
    {
        wire.LOSS,
        wire.GRAD_NORM,
        wire.LR,
        wire.EVAL_LOSS,
        wire.TOKENS,
        wire.STEP_SECONDS,
        wire.OWN_SECONDS,
        wire.PARAM_NORM,
        wire.LOSS_SCALE,
        wire.GRAD_NORM_SQ_SHARD,
        wire.PARAM_NORM_SQ_SHARD,
        wire.LOSS + MEAN,
        wire.LOSS + LOWEST,
        wire.LOSS + HIGHEST,
    }
)


def remember(state: RunState, sample: Sample) -> None:
    """Take a sample of the present attempt; what is known of a later step stays, however late it came."""
    left_out = 0
    for name, value in sample.values.items():
        if MARK + "/" in name:
            continue  # one rank's share of a layer says nothing by itself
        if name not in state.latest and not _has_room(state, name):
            left_out += 1
        elif sample.step >= state.latest_steps.get(name, sample.step):
            state.latest[name], state.latest_steps[name] = value, sample.step
    state.metrics_left_out = max(state.metrics_left_out, left_out)


def _has_room(state: RunState, name: str) -> bool:
    return name in STANDARD or len(state.latest.keys() - STANDARD) < MAX_METRICS
