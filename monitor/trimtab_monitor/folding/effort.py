"""What steps took so far, in bounded memory: what a forecast of the rest is made of.

Steps of the lead rank are gathered in windows of time. A step that takes many times the usual is a pause
beside training (an evaluation, a checkpoint, a hiccup) and is counted apart, whoever announced it. What lies
between two attempts is a stop. Energy is not in it: the ledger tells that of any stretch of time, also of
what is heard of late.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from statistics import median
from typing import Final

from trimtab.wire import INT64_MAX
from trimtab_monitor.ledger.reading import LATEST_S

CAPACITY: Final = 128
WINDOW_S: Final = 1.0
"""The least length of a window; of old ones two are joined, again and again."""

USUAL_OF: Final = 32
SETTLED: Final = 8
PAUSE: Final = 5.0
"""A step of more than so many times the usual one holds a pause."""

STOPS_KEPT: Final = 64


@dataclass(slots=True)
class Window:
    """Steps done in [start, end), Unix seconds of the job's clock; `paused_s` of it beside training."""

    start: float
    end: float
    steps: int
    paused_s: float = 0.0

    def join(self, later: Window) -> None:
        """Take in the window that follows."""
        self.end = later.end
        self.steps = _sum(self.steps, later.steps)
        self.paused_s += later.paused_s


@dataclass(slots=True)
class Pauses:
    """Pauses so far: how many, how long, and after how many steps each, with the sums of squares of both."""

    count: int = 0
    seconds: float = 0.0
    seconds_sq: float = 0.0
    steps: int = 0
    steps_sq: float = 0.0
    since: int = 0

    def pass_by(self, steps: int, paused_s: float) -> None:
        """So many steps, and a pause at their end if it took any time."""
        self.since = _sum(self.since, steps)
        if paused_s <= 0.0:
            return
        self.count += 1
        self.seconds += paused_s
        self.seconds_sq += paused_s * paused_s
        self.steps = _sum(self.steps, self.since)
        self.steps_sq += float(self.since) ** 2
        self.since = 0


@dataclass(slots=True)
class Effort:
    """Windows in order, the newer the finer. Its attributes are its state, and serialise.

    `lived` counts steps, those done again too, `redone` those of them that were done before. `stops` are the
    latest stretches between two attempts, [from, to), `stopped` how many there were.
    """

    windows: list[Window] = field(default_factory=list)
    recent: list[float] = field(default_factory=list)
    lived: int = 0
    redone: int = 0
    stopped: int = 0
    stops: list[tuple[float, float]] = field(default_factory=list)
    pauses: Pauses = field(default_factory=Pauses)
    at_step: int | None = None
    at_time: float | None = None
    resumed: bool = False

    def step(self, step: int, time: float) -> None:
        """The lead rank was at `step` at `time`."""
        last_step, last_time = self.at_step, self.at_time
        if (last_step is not None and step <= last_step) or not 0.0 <= time <= LATEST_S:
            return
        self.at_step, self.at_time = step, time
        if last_step is None or last_time is None or time <= last_time:
            return
        if self.resumed:
            self.resumed = False
            self._stop(last_time, time)
            return
        self._add(min(step - last_step, INT64_MAX), last_time, time)

    def rewind(self, to_step: int) -> None:
        """The run goes on from the end of `to_step`: what came after is done again."""
        if self.at_step is None:
            return
        self.redone = _sum(self.redone, max(0, self.at_step - to_step))
        self.at_step = min(self.at_step, to_step)
        self.resumed = True

    def _stop(self, start: float, end: float) -> None:
        self.stopped += 1
        self.stops = [*self.stops[-(STOPS_KEPT - 1) :], (start, end)]

    def _add(self, steps: int, start: float, end: float) -> None:
        each = (end - start) / steps
        paused_s = 0.0
        if len(self.recent) >= SETTLED:
            usual = median(self.recent)
            if end - start > usual * (steps + PAUSE - 1.0):
                paused_s = (end - start) - usual * steps
                each = usual
        self.recent = [*self.recent[-(USUAL_OF - 1) :], each]
        self.lived = _sum(self.lived, steps)
        self.pauses.pass_by(steps, paused_s)
        self._gather(Window(start, end, steps, paused_s))

    def _gather(self, window: Window) -> None:
        last = self.windows[-1] if self.windows else None
        if last is not None and last.end == window.start and window.end - last.start <= WINDOW_S:
            last.join(window)
            return
        self.windows.append(window)
        if len(self.windows) > CAPACITY:
            older, newer = self.windows[: CAPACITY // 2], self.windows[CAPACITY // 2 :]
            self.windows = [*_halved(older), *newer][-CAPACITY:]


def _sum(count: int, more: int) -> int:
    """The sum, no larger than can be kept, whatever a job says of its steps."""
    return min(count + more, INT64_MAX)


def _halved(windows: list[Window]) -> list[Window]:
    """Two and two joined, where one goes on from the other."""
    out: list[Window] = []
    pairs = iter(windows)
    for first in pairs:
        second = next(pairs, None)
        if second is None or second.start != first.end:
            out += [first] if second is None else [first, second]
            continue
        first.join(second)
        out.append(first)
    return out
