"""The loss over all ranks: its mean, the lowest and the highest of each step.

Under data parallelism each rank has a loss of its own, that of its share of the batch. What is told is a
handful of numbers of the whole run, whatever the number of ranks.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Final

from trimtab import wire
from trimtab_monitor.folding.exact_sum import ExactSum
from trimtab_monitor.folding.rank_set import RankSet
from trimtab_monitor.types import Sample

MEAN: Final = "/mean"
LOWEST: Final = "/min"
HIGHEST: Final = "/max"

MOST_STEPS: Final = 64
"""How many steps wait for the ranks that have not sent theirs; then what has come is told."""


@dataclass(slots=True)
class StepLosses:
    """The losses of one step; a NaN makes the three numbers NaN."""

    ranks: RankSet = field(default_factory=RankSet)
    total: ExactSum = field(default_factory=ExactSum)
    lowest: float = math.inf
    highest: float = -math.inf
    time: float = -math.inf
    attempt: int = 0

    def add(self, sample: Sample, loss: float) -> None:
        """Take in a rank's loss, once."""
        if not self.ranks.add(sample.rank):
            return
        self.total.add(loss)
        self.lowest = _extreme(min(self.lowest, loss), self.lowest, loss)
        self.highest = _extreme(max(self.highest, loss), self.highest, loss)
        self.time = max(self.time, sample.time)
        self.attempt = sample.attempt

    def told(self, step: int) -> Sample:
        """The three numbers, as a sample of the whole run."""
        values = {
            wire.LOSS + MEAN: self.total.value() / self.ranks.count,
            wire.LOSS + LOWEST: self.lowest,
            wire.LOSS + HIGHEST: self.highest,
        }
        return Sample(step, self.time, values, self.attempt, rank=0)


@dataclass(slots=True)
class RankLosses:
    """The steps of the present attempt that not all ranks have sent yet. Of a run of one rank, nothing."""

    waiting: dict[int, StepLosses] = field(default_factory=dict)
    newest: int = -1

    def add(self, sample: Sample, world_size: int | None) -> Sample | None:
        """Take in a rank's sample; return what is known of the newest step that is whole by it.

        Where not all ranks send a loss (of a pipeline only those of the last stage), a step is told when so
        many later ones wait.
        """
        loss = sample.values.get(wire.LOSS)
        if loss is None or sample.step <= self.newest or world_size == 1:
            return None
        known = self.waiting.setdefault(sample.step, StepLosses())
        known.add(sample, loss)
        if known.ranks.count == world_size:
            return self._tell(sample.step)
        if len(self.waiting) <= MOST_STEPS:
            return None
        oldest = min(self.waiting)
        if self.waiting[oldest].ranks.count > 1:
            return self._tell(oldest)
        del self.waiting[oldest]
        return None

    def clear(self) -> None:
        """The run went back: steps will be lived again."""
        self.waiting.clear()
        self.newest = -1

    def _tell(self, step: int) -> Sample:
        told = self.waiting[step].told(step)
        self.newest = step
        for older in [each for each in self.waiting if each <= step]:
            del self.waiting[older]
        return told


def _extreme(chosen: float, *of: float) -> float:
    return math.nan if any(map(math.isnan, of)) else chosen
