"""The learning rates of the last steps: what an incident says of the rate before it, and now."""

from __future__ import annotations

from dataclasses import dataclass, field
from math import isfinite
from typing import Any, Final

from trimtab import wire
from trimtab_monitor.types import Sample

STEPS_KEPT: Final = 64
STEPS_BEFORE: Final = 5
"""The rate before an onset is that of so many samples earlier: a fault may show a few steps late."""

JUMP: Final = 1.5
"""From one step to the next, schedules change the rate by less than this factor."""


@dataclass(slots=True)
class RateTrail:
    """Steps and rates, oldest first."""

    steps: list[int] = field(default_factory=list)
    rates: list[float] = field(default_factory=list)

    def note(self, sample: Sample) -> None:
        """Keep the sample's rate, if it has one."""
        rate = sample.values.get(wire.LR)
        if rate is None or not isfinite(rate):
            return
        if self.steps and sample.step <= self.steps[-1]:
            self.rewind(sample.step - 1)
        self.steps.append(sample.step)
        self.rates.append(rate)
        if len(self.steps) > STEPS_KEPT:
            del self.steps[0], self.rates[0]

    def around(self, onset: int, sample: Sample) -> dict[str, Any]:
        """What is known of the rate: some steps before `onset`, now, and where it jumped in between."""
        if not self.steps:
            return {}
        earlier = [index for index, step in enumerate(self.steps) if step < onset]
        start = earlier[max(0, len(earlier) - STEPS_BEFORE)] if earlier else 0
        known = {"lr_before": self.rates[start], "lr_now": sample.values.get(wire.LR, self.rates[-1])}
        for index in range(start + 1, len(self.steps)):
            before, after = self.rates[index - 1], self.rates[index]
            if before > 0.0 and after > JUMP * before:
                return known | {"lr_jump_step": self.steps[index], "lr_jump_factor": after / before}
        return known

    def rewind(self, step: int) -> None:
        """The run goes on from `step`."""
        kept = sum(1 for known in self.steps if known <= step)
        del self.steps[kept:], self.rates[kept:]
