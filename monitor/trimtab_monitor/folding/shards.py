"""The gradient norm of a sharded run, added up here, so that the job needs no collective for it.

Each rank sends the square of its shard's norm as `grad_norm_sq_shard`; the root of their sum is the norm.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from typing import Final

from trimtab import wire
from trimtab_monitor.types import Sample

CAPACITY: Final = 256
"""How many steps may wait for their last shard."""


@dataclass(slots=True)
class ShardSum:
    """What has come of one step."""

    total: float = 0.0
    count: int = 0


@dataclass(slots=True)
class ShardSums:
    """The steps of the present attempt of which some shards have come, but not all."""

    waiting: dict[int, ShardSum] = field(default_factory=dict)

    def add(self, sample: Sample, world_size: int | None) -> Sample | None:
        """Take in a rank's sample; return the whole run's gradient norm once the last shard is here."""
        shard = sample.values.get(wire.GRAD_NORM_SQ_SHARD)
        if shard is None:
            return None
        sum_ = self.waiting.setdefault(sample.step, ShardSum())
        sum_.total += shard
        sum_.count += 1
        if sum_.count < (world_size or 1):
            self._forget_oldest()
            return None
        del self.waiting[sample.step]
        return Sample(sample.step, sample.time, {wire.GRAD_NORM: _root(sum_.total)}, sample.attempt, rank=0)

    def clear(self) -> None:
        """The run went back: what waits will never be whole."""
        self.waiting.clear()

    def _forget_oldest(self) -> None:
        if len(self.waiting) > CAPACITY:
            del self.waiting[min(self.waiting)]


def _root(total: float) -> float:
    return math.sqrt(total) if total >= 0 else math.nan
