"""Norms of a sharded run, added up here, so that the job needs no collective for them.

Each rank sends the square of its shard's norm as `grad_norm_sq_shard` (and `param_norm_sq_shard`); the root
of their sum is the norm. Layers the same: `grad_norm_sq_shard/<layer>` become `grad_norm/<layer>`. A step is
whole once every rank has sent a row of it with any of these: a layer of which a rank holds nothing need not
be in it.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Final

from trimtab import wire
from trimtab_monitor.folding.exact_sum import ExactSum
from trimtab_monitor.folding.rank_set import RankSet
from trimtab_monitor.types import Sample

MARK: Final = "_sq_shard"
NORMS: Final = (wire.GRAD_NORM, wire.PARAM_NORM)

MOST_STEPS: Final = 256
MOST_SUMS: Final = 8192
"""How many steps, and sums of layers in them, may wait for their last shard."""


@dataclass(slots=True)
class ShardSum:
    """What has come of one norm at one step; `time` is the latest of the ranks'."""

    ranks: RankSet = field(default_factory=RankSet)
    sums: dict[str, ExactSum] = field(default_factory=dict)
    time: float = -math.inf


@dataclass(slots=True)
class ShardSums:
    """The steps of the present attempt of which some shards have come, but not all.

    `ranks_seen` is one more than the highest rank that sent any: the number of ranks, where it was not told.
    `sums` counts those that wait.
    """

    waiting: dict[int, dict[str, ShardSum]] = field(default_factory=dict)
    ranks_seen: int = 0
    sums: int = 0

    def add(self, sample: Sample, world_size: int | None) -> list[Sample]:
        """Take in a rank's sample; return the whole run's norms of which this was the last shard.

        What a rank sends of a step a second time does not count.
        """
        shards = [name for name in sample.values if MARK in name]
        if not shards:
            return []
        self.ranks_seen = max(self.ranks_seen, sample.rank + 1)
        ranks = world_size or self.ranks_seen
        whole = [norm for norm in NORMS if self._take(norm, shards, sample, ranks)]
        return [self._told(norm, sample) for norm in whole]

    def clear(self) -> None:
        """The run went back: what waits will never be whole, and other ranks may go on."""
        self.waiting.clear()
        self.ranks_seen = self.sums = 0

    def _take(self, norm: str, shards: list[str], sample: Sample, ranks: int) -> bool:
        """Add a rank's shards of a norm and of its layers; True: all ranks' are here."""
        mine = [name for name in shards if name.partition("/")[0] == norm + MARK]
        if not mine:
            return False
        known = self.waiting.setdefault(sample.step, {}).setdefault(norm, ShardSum())
        if not known.ranks.add(sample.rank):
            return False
        known.time = max(known.time, sample.time)
        before = len(known.sums)
        for name in mine:
            known.sums.setdefault(name.replace(MARK, "", 1), ExactSum()).add(sample.values[name])
        self.sums += len(known.sums) - before
        if known.ranks.count >= ranks:
            return True
        self._forget_oldest()
        return False

    def _told(self, norm: str, sample: Sample) -> Sample:
        known = self.waiting[sample.step].pop(norm)
        self.sums -= len(known.sums)
        if not self.waiting[sample.step]:
            del self.waiting[sample.step]
        values = {name: _root(known.sums[name].value()) for name in sorted(known.sums)}
        return Sample(sample.step, known.time, values, sample.attempt, rank=0)

    def _forget_oldest(self) -> None:
        """A rank that is gone never sends its shard: what waits for it is bounded."""
        while len(self.waiting) > MOST_STEPS or (len(self.waiting) > 1 and self.sums > MOST_SUMS):
            gone = self.waiting.pop(min(self.waiting))
            self.sums -= sum(len(known.sums) for known in gone.values())


def _root(total: float) -> float:
    return math.sqrt(total) if total >= 0 else math.nan
