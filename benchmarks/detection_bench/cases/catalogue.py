"""All constructed cases, with what is expected of each."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Final

from numpy.random import Generator, default_rng

from detection_bench.cases import events, quiet
from detection_bench.curves import Curve


@dataclass(frozen=True, slots=True)
class Case:
    """A case is made anew for each seed.

    `max_delay`: a person must be told at most so many samples after the onset; none: nobody may be told.
    `held_share`: the share of seeds at which that is promised; 0 if it is measured only.
    """

    make: Callable[[Generator], Curve]
    max_delay: int | None = None
    held_share: float = 1.0

    @property
    def name(self) -> str:
        """What it is called."""
        return self.make.__name__

    @property
    def sentence(self) -> str:
        """What happens in it."""
        return (self.make.__doc__ or "").strip()

    def curve(self, seed: int) -> Curve:
        """The case of one seed."""
        return self.make(default_rng(seed))


CASES: Final = (
    Case(events.bloom, max_delay=1),
    Case(events.non_finite, max_delay=0),
    Case(events.all_nan, max_delay=0),
    Case(events.drift, max_delay=30, held_share=0.4),
    Case(events.level, max_delay=2),
    Case(events.short_spike, max_delay=2),
    Case(events.early, max_delay=2),
    Case(events.sparse_10, max_delay=2),
    Case(events.sparse_100, max_delay=2),
    Case(events.negative, max_delay=2),
    Case(events.tiny, max_delay=2),
    Case(events.huge, max_delay=2),
    Case(events.integers, max_delay=2),
    Case(events.resumed_then_level, max_delay=2),
    Case(quiet.clean),
    Case(quiet.heavy_t3, held_share=0.9),
    Case(quiet.loss_only),
    Case(quiet.outlier_8_sigma),
    Case(quiet.outlier_x1_3),
    Case(quiet.outlier_x3_2, held_share=0.0),
    Case(quiet.rate_warm_up),
    Case(quiet.rate_restart),
    Case(quiet.smaller_batch),
    Case(quiet.larger_batch, held_share=0.9),
    Case(quiet.sawtooth),
    Case(quiet.epoch_jumps, held_share=0.9),
    Case(quiet.benign_shift, held_share=0.9),
    Case(quiet.improves),
    Case(quiet.improves_for_a_while, held_share=0.0),
    Case(quiet.gap),
    Case(quiet.constant),
    Case(quiet.crosses_zero, held_share=0.9),
    Case(quiet.repeated_steps),
    Case(quiet.out_of_order),
)
