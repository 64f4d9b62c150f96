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

    def resume(self, step: int, time: float | None) -> None:
        """The run goes on from the end of `step`, at `time` if known: what came after is lived again."""
        keep = bisect_left(self.steps, step)
        known = self.time_at(step)
        del self.steps[keep:], self.times[keep:]
        mark = known if time is None else time
        if mark is not None:
            self.add(step, mark)

    def time_at(self, step: int) -> float | None:
        """When `step` ended, Unix seconds; of a step before all that is known, the earliest time that is.

        None if nothing is known, or nothing as late.
        """
        i = bisect_left(self.steps, step)
        if i == len(self.steps):
            return None
        if i == 0 or self.steps[i] == step:
            return self.times[i]
        share = (step - self.steps[i - 1]) / (self.steps[i] - self.steps[i - 1])
        return self.times[i - 1] + share * (self.times[i] - self.times[i - 1])
