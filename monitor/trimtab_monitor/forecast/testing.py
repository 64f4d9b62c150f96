"""Runs whose whole course is known, seen from somewhere on their way."""

from __future__ import annotations

import math
import random
from bisect import bisect_left
from dataclasses import dataclass, field

from trimtab_monitor.folding.effort import Effort
from trimtab_monitor.forecast.completion import Stops, Stretch, ToGo, to_go

STEP_S = 0.5
TRAIN_W = 300.0
PAUSE_W = 80.0


@dataclass
class Course:
    """What a run is like: pauses every so many steps, a change of pace at a step, rollbacks now and then."""

    total: int = 1500
    pause_every: int = 0
    changes_at: int = 0
    factor: float = 1.0
    rollback_odds: float = 0.0


@dataclass
class Seen:
    """A run as far as its step `at`: `time` and `joules` are those then, `end` and `all_joules` the truth."""

    effort: Effort = field(default_factory=Effort)
    marks: list[tuple[float, float]] = field(default_factory=lambda: [(0.0, 0.0)])
    at: int = 0
    time: float = 0.0
    joules: float = 0.0
    end: float = 0.0
    all_joules: float = 0.0

    def energy(self, start: float, end: float) -> float:
        """Joules between two times."""
        return self._at(end) - self._at(start)

    def forecast(self, total: int) -> ToGo:
        """What is forecast of it there."""
        stretches = [
            Stretch(each.steps, each.end - each.start, each.paused_s, self.energy(each.start, each.end))
            for each in self.effort.windows
        ]
        told = self.effort.stops
        seconds = sum(end - start for start, end in told)
        joules = sum(self.energy(start, end) for start, end in told)
        stops = Stops(self.effort.stopped, self.effort.redone, len(told), seconds, joules)
        found = to_go(stretches, self.effort.pauses, stops, total - self.at)
        assert found is not None
        return found

    def _at(self, time: float) -> float:
        i = min(max(1, bisect_left(self.marks, (time, 0.0))), len(self.marks) - 1)
        (from_s, from_j), (to_s, to_j) = self.marks[i - 1], self.marks[i]
        return from_j + (to_j - from_j) * (time - from_s) / (to_s - from_s)


def lived(course: Course, seed: int, share: float) -> Seen:
    """Live a run to its end, and keep what was seen after `share` of its steps."""
    rng = random.Random(seed)  # noqa: S311  (a simulation)
    seen = Seen()
    step, time, joules = 0, 0.0, 0.0
    is_seen = True
    while step < course.total:
        seconds = STEP_S * rng.lognormvariate(0.0, 0.15)
        seconds *= course.factor if course.changes_at and step >= course.changes_at else 1.0
        used = TRAIN_W * seconds
        if course.pause_every and step % course.pause_every == course.pause_every - 1:
            pause = 20.0 * STEP_S * rng.lognormvariate(0.0, 0.2)
            seconds, used = seconds + pause, used + PAUSE_W * pause
        step, time, joules = step + 1, time + seconds, joules + used
        if is_seen:
            seen.marks.append((time, joules))
            seen.effort.step(step, time)
            is_seen = step < share * course.total
            if not is_seen:
                seen.at, seen.time, seen.joules = step, time, joules
        if rng.random() < course.rollback_odds:
            step = max(0, step - rng.randint(1, 100))
            time, joules = time + 15.0, joules + 15.0 * PAUSE_W
            if is_seen:
                seen.effort.rewind(step)
                seen.marks.append((time, joules))
    seen.end, seen.all_joules = time, joules
    assert math.isfinite(joules)
    return seen
