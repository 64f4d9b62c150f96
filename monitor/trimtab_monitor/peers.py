"""The losses of the other ranks at the last steps: is it one rank that is off, or all of them?

Of each step only a handful of numbers is kept, whatever the number of ranks. A run of one rank keeps nothing.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from math import inf, isfinite
from typing import Final, Literal

from trimtab import wire
from trimtab_monitor.types import Sample

STEPS_KEPT: Final = 64

Extent = Literal["all", "some", "one"]
"""How many of the ranks are off, of those that are known."""


@dataclass(slots=True)
class PeerLosses:
    """For each step: how many other ranks were heard, how many not finite, lowest and highest finite loss.

    `ranks` is the number of other ranks, the most that were heard of one step.
    """

    steps: dict[int, list[float]] = field(default_factory=dict)
    ranks: int = 0

    def note(self, sample: Sample) -> None:
        """Keep the loss of a rank that is not the first."""
        loss = sample.values.get(wire.LOSS)
        if loss is None:
            return
        known = self.steps.get(sample.step)
        if known is None:
            known = self.steps[sample.step] = [0.0, 0.0, inf, -inf]
            if len(self.steps) > STEPS_KEPT:
                del self.steps[next(iter(self.steps))]
        known[0] += 1.0
        if isfinite(loss):
            known[2] = min(known[2], loss)
            known[3] = max(known[3], loss)
        else:
            known[1] += 1.0
        if known[0] > self.ranks:
            self.ranks = int(known[0])

    def above(self, step: int, middle: float) -> Extent | None:
        """How many ranks are above `middle` at a step where the first rank is.

        None while not all that are known were heard of that step.
        """
        known = self._whole(step)
        if known is None:
            return None
        _, bad, lowest, highest = known
        if lowest > middle:
            return "all"
        return "some" if bad or highest > middle else "one"

    def not_finite(self, step: int, first: bool) -> Extent | None:
        """How many ranks are not finite at a step, where one is; `first` tells whether the first rank is."""
        known = self._whole(step)
        if known is None:
            return None
        bad = known[1] + first
        if bad > self.ranks:
            return "all"
        return "some" if bad > 1 else "one"

    def _whole(self, step: int) -> list[float] | None:
        known = self.steps.get(step)
        return None if known is None or known[0] < self.ranks else known

    def clear(self) -> None:
        """The run went back: steps will be lived again."""
        self.steps.clear()
