"""How much slower a GPT trains when it is watched: short blocks in turn in one process, compared in pairs."""

from __future__ import annotations

import random
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from statistics import median
from typing import Any, Final

import torch

from hooks_bench.collector_process import collector_process
from hooks_bench.figures import Estimate, median_estimate, percent_more
from hooks_bench.gpt import Loop, Seconds
from hooks_bench.ways import WAYS, WITHOUT

BLOCK_STEPS: Final = 10
"""As many as lie between two looks at what is looked at every tenth step: each block has one of them."""
WARM_UP_STEPS: Final = 8


@dataclass(slots=True)
class Rounds:
    """The blocks of each way, one a round; those of a round are compared with each other."""

    blocks: dict[str, list[Seconds]] = field(default_factory=dict)

    def add(self, name: str, seconds: Seconds) -> None:
        """Keep a block."""
        self.blocks.setdefault(name, []).append(seconds)

    def slower_percent(self, name: str) -> Estimate:
        """By how many percent a step takes longer by the clock."""
        return percent_more([(a.wall, b.wall) for a, b in self._pairs(name)])

    def added_percent(self, name: str) -> Estimate:
        """What is added to the training thread's `optimizer.step` and `watch.step`, in percent of a step.

        The noise of forward and backward, which hooks of the optimizer do not touch, is left out.
        """
        return median_estimate([100 * (b.tail - a.tail) / a.wall for a, b in self._pairs(name)])

    def threads_percent(self, name: str) -> Estimate:
        """Processor time of the threads that watching started, in percent of one core."""
        return median_estimate([100 * each.threads / each.wall for each in self.blocks[name]])

    def _pairs(self, name: str) -> list[tuple[Seconds, Seconds]]:
        return list(zip(self.blocks[WITHOUT], self.blocks[name], strict=True))


def measure(names: Sequence[str], seconds: float) -> Iterator[dict[str, Any]]:
    """Train each way in turn for so many seconds in all; yield one line a way."""
    device = "cuda" if torch.cuda.is_available() else "cpu"
    loop = Loop(device)
    with collector_process() as collector:
        rounds = train(loop, names, collector.url, seconds)
    step_ms = 1e3 * median(each.wall for each in rounds.blocks[WITHOUT])
    tokens = loop.plan.tokens_per_step
    about = {"device": device, "parameters": loop.parameters, "tokens_per_step": tokens}
    for name in names:
        yield {
            "benchmark": "hooks throughput",
            "watched": name,
            **about,
            "step_ms": round(step_ms, 2),
            "pairs": len(rounds.blocks[name]),
            **as_json("slower_percent", rounds.slower_percent(name)),
            **as_json("added_percent", rounds.added_percent(name)),
            **as_json("threads_percent", rounds.threads_percent(name)),
            "allowed_percent": WAYS[name].allowed_percent,
        }


def train(loop: Loop, names: Sequence[str], url: str, seconds: float) -> Rounds:
    """Go through all ways, in a random order each round, until the time is over."""
    rounds, order = Rounds(), random.Random(1)
    loop.block(WITHOUT, url, WARM_UP_STEPS)
    deadline = time.monotonic() + seconds
    while time.monotonic() < deadline:
        for name in order.sample((WITHOUT, *names), k=1 + len(names)):
            rounds.add(name, loop.block(name, url, BLOCK_STEPS))
    return rounds


def as_json(name: str, estimate: Estimate) -> dict[str, Any]:
    """An estimate with its 95 % interval."""
    return {name: round(estimate.value, 3), f"{name}_95": [round(estimate.low, 3), round(estimate.high, 3)]}
