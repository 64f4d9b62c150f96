"""When each step of the present attempt ended, thinned out as it grows: so that lost time can be told."""

from __future__ import annotations

from bisect import bisect_left
from dataclasses import dataclass, field
from typing import Final

CAPACITY: Final = 1024


@dataclass(slots=True)
class Timeline:
    """Marks of (step, when it ended, Unix seconds of the job's clock), steps strictly growing.

    Beyond `CAPACITY` marks every second one of the older half goes, so late steps are known to the step and
    early ones between marks.
    """

    steps: list[int] = field(default_factory=list)
    times: list[float] = field(default_factory=list)

    def add(self, step: int, time: float) -> None:
        """A step ended."""
        if self.steps and step <= self.steps[-1]:
            return
        self.steps.append(step)
        self.times.append(time)
        if len(self.steps) > CAPACITY:
            half = CAPACITY // 2
            del self.steps[1:half:2], self.times[1:half:2]

    def resume(self, step: int, time: float) -> None:
        """The run goes on from the end of `step` at `time`: later marks are of work that is lived again."""
        keep = bisect_left(self.steps, step)
        del self.steps[keep:], self.times[keep:]
        self.add(step, time)

    def time_at(self, step: int) -> float | None:
        """When `step` ended, Unix seconds; none if that is before or after all that is known."""
        i = bisect_left(self.steps, step)
        if i == len(self.steps) or (i == 0 and self.steps[0] != step):
            return None
        if self.steps[i] == step:
            return self.times[i]
        share = (step - self.steps[i - 1]) / (self.steps[i] - self.steps[i - 1])
        return self.times[i - 1] + share * (self.times[i] - self.times[i - 1])
