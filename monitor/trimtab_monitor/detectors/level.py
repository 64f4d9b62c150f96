"""Where a noisy series should be next, and how far above that is no longer its usual noise."""

from __future__ import annotations

from bisect import bisect_left, bisect_right, insort
from collections.abc import Sequence
from dataclasses import dataclass, field
from math import log
from typing import Final

TAIL_PERCENT: Final = 10
"""The share of all residuals, the highest, from which the shape of the upper tail is learned."""

TAIL_PRIOR: Final = 12
"""The tail is learned with so many imagined residuals of Gaussian noise: few real ones must not decide."""

GAUSS_TAIL: Final = 0.47
"""Mean excess of Gaussian noise over its 90 % quantile, in standard deviations."""

GAUSS_IQR: Final = 1.349
"""Distance between the quartiles of Gaussian noise, in standard deviations."""

RECENT_SAMPLES: Final = 8
"""Over so many samples it is seen how sparse a log is."""

REFRESH_SAMPLES: Final = 8
"""The noise is measured anew after so many samples: it changes slowly, and measuring costs."""

YOUNG_SAMPLES: Final = 30
"""The noise is measured from at least so many samples."""

SLOW_SAMPLES: Final = 16
"""A slow level is taken anew, with its noise, after so many samples."""

SPARE_SAMPLES: Final = 64
"""So many more than are needed are remembered, and forgotten together: that costs less than one by one."""

PAST_EVERY: Final = 16
MOST_PAST: Final = 96
"""The level is kept every so many samples at first; when there are too many, every second is dropped."""

RELATIVE_FLOOR: Final = 0.002
LEAST_FLOOR: Final = 1e-300
"""The least noise that is believed of a series that is not positive, as a fraction of its largest lately."""

LOG_TAIL_SHARE: Final = log(100 / TAIL_PERCENT)


@dataclass(slots=True)
class RobustLevel:
    """Median level of the last `window` samples, and the noise around it over the last `memory`.

    The upper tail of the residuals is taken as exponential above their 90 % quantile (peaks over threshold;
    Siffer et al., "Anomaly Detection in Streams with Extreme Value Theory", KDD 2017), so that a heavy-tailed
    series gets a higher limit than a Gaussian one at the same rate of false alarms. `floor` is the least
    noise that is believed, in the unit of the values.

    Every attribute is state. `steps`, `values` and `residuals` run in parallel, oldest first. `expected` is
    the level, `lag` how far below it a falling series usually is: 0 or negative. A level that is `slow` is
    taken anew only every few samples, which costs less. `past_levels` are the levels at `past_steps`, ever
    further apart: to go back to, further than the samples are remembered.

    >>> level = RobustLevel()
    >>> for step in range(64):
    ...     level.absorb(step, value := (step * 37 % 64) / 64, level.residual(value))
    >>> round(level.expected, 2), round(level.scale, 1)
    (0.51, 0.4)
    >>> level.surprise(5.0) > level.surprise(1.0) > level.surprise(0.1)
    True
    """

    window: int = 16
    memory: int = 256
    floor: float = 0.002
    steps: list[int] = field(default_factory=list)
    values: list[float] = field(default_factory=list)
    residuals: list[float] = field(default_factory=list)
    slow: bool = False
    linear: bool = False
    absorbed: int = 0
    past_steps: list[int] = field(default_factory=list)
    past_levels: list[float] = field(default_factory=list)
    past_every: int = PAST_EVERY
    recent_sorted: list[float] = field(default_factory=list)
    residuals_sorted: list[float] = field(default_factory=list)
    expected: float = 0.0
    lag: float = 0.0
    scale: float = 0.0
    tail_start: float = 0.0
    tail_slope: float = 1.0
    unmeasured: int = 0

    @property
    def samples(self) -> int:
        """How many samples it remembers."""
        return len(self.values)

    @property
    def steps_between(self) -> float:
        """How many steps lie between two samples, lately; 1 while that is not known."""
        steps = self.steps
        if len(steps) <= RECENT_SAMPLES:
            return 1.0
        return (steps[-1] - steps[-1 - RECENT_SAMPLES]) / RECENT_SAMPLES

    def residual(self, value: float) -> float:
        """How far `value` lies above the level; 0 while there is none."""
        return value - self.expected if self.values else 0.0

    def surprise(self, residual: float) -> float:
        """How improbable so high a residual is, as -ln of its probability; about 0 within the usual noise."""
        return LOG_TAIL_SHARE + (residual - self.tail_start) / self.tail_slope

    def residual_at(self, surprise: float) -> float:
        """The residual that is exactly so surprising."""
        return self.tail_start + (surprise - LOG_TAIL_SHARE) * self.tail_slope

    def absorb(self, step: int, value: float, residual: float) -> None:
        """Make the sample part of what is usual."""
        values = self.values
        self.steps.append(step)
        values.append(value)
        self.residuals.append(residual)
        self.unmeasured += 1
        self.absorbed += 1
        if self.absorbed % self.past_every == 0:
            self._keep_past(step)
        count = len(values)
        if not self.slow:
            self._keep_sorted(count, value, residual)
            if self.unmeasured >= REFRESH_SAMPLES:
                self._measure_noise()
        elif self.unmeasured >= SLOW_SAMPLES or count <= YOUNG_SAMPLES:
            self._resort()
        if count > self.memory + SPARE_SAMPLES:
            del self.steps[: -self.memory], values[: -self.memory], self.residuals[: -self.memory]

    def _keep_past(self, step: int) -> None:
        self.past_steps.append(step)
        self.past_levels.append(self.expected)
        if len(self.past_steps) > MOST_PAST:
            del self.past_steps[::2], self.past_levels[::2]
            self.past_every *= 2

    def _keep_sorted(self, count: int, value: float, residual: float) -> None:
        recent, ordered, window = self.recent_sorted, self.residuals_sorted, self.window
        insort(recent, value)
        insort(ordered, residual)
        if count > window:
            del recent[bisect_left(recent, self.values[-window - 1])]
            if count > self.memory:
                del ordered[bisect_left(ordered, self.residuals[-self.memory - 1])]
            half = window // 2
            self.expected = 0.5 * (recent[half] + recent[window - 1 - half])
        else:
            self.expected = middle(recent)

    def _measure_noise(self) -> None:
        """Learn scale and upper tail; a level that lags behind a falling series must not lower the limit."""
        ordered = self._residuals_that_tell()
        count = len(ordered)
        self.lag = min(0.0, ordered[count // 2])
        if self.linear:
            self.floor = max(LEAST_FLOOR, RELATIVE_FLOOR * max(map(abs, self.recent_sorted)))
        spread = (ordered[3 * count // 4] - ordered[count // 4]) / GAUSS_IQR
        self.scale = max(spread, self.floor)
        in_tail = max(1, count * TAIL_PERCENT // 100)
        quantile = ordered[count - in_tail - 1]
        excess = sum(ordered[count - in_tail :]) - in_tail * quantile
        slope = (excess + TAIL_PRIOR * GAUSS_TAIL * self.scale) / (in_tail + TAIL_PRIOR)
        self.tail_start = max(quantile, self.scale)
        self.tail_slope = max(slope, GAUSS_TAIL * self.floor)
        self.unmeasured = 0

    def _residuals_that_tell(self) -> list[float]:
        """All that are remembered, sorted; of a young series the later half, past its first steep fall."""
        if self.absorbed >= 2 * self.memory:
            return self.residuals_sorted
        return sorted(self.residuals[-max(YOUNG_SAMPLES, self.absorbed // 2) :])

    def move_to(self, steps: list[int], values: list[float]) -> None:
        """Accept a new level, whose last samples these are, with the noise around their own median."""
        steps, values = steps[-self.window :], values[-self.window :]
        centre = sorted(values)[len(values) // 2]
        for step, value in zip(steps, values, strict=True):
            self.absorb(step, value, value - centre)

    def rewind(self, step: int) -> None:
        """Go back to the level of `step`; what was learned of the noise stays, wherever it was learned."""
        known = bisect_right(self.steps, step)
        if known == len(self.steps):
            return
        level = self._level_of(step, known)
        past = bisect_right(self.past_steps, step)
        del self.past_steps[past:], self.past_levels[past:]
        if level is None:
            del self.steps[:], self.values[:], self.residuals[:]
            self.recent_sorted, self.residuals_sorted, self.absorbed = [], [], 0
            return
        forgotten = len(self.steps) - known
        self.steps[known:] = [step] * forgotten
        self.values[known:] = [level] * forgotten
        self._resort()

    def _level_of(self, step: int, known: int) -> float | None:
        """The level at a step: of the samples just before it, else the higher of the levels around it.

        None if nothing is known of that time: the run begins again.
        """
        before = sorted(self.values[max(0, known - self.window) : known])
        if before:
            return before[len(before) // 2]
        past = bisect_right(self.past_steps, step)
        return max(self.past_levels[past - 1 : past + 1]) if past else None

    def go_linear(self, values: list[float], past_levels: list[float]) -> None:
        """Go over to the metric's own unit: the same samples and past, expressed in it."""
        self.linear = True
        self.values, self.past_levels = values, past_levels
        centre = sorted(values)[len(values) // 2] if values else 0.0
        self.residuals = [value - centre for value in values]
        self._resort()

    def _resort(self) -> None:
        """Take level and noise anew from all that is remembered."""
        recent = sorted(self.values[-self.window :])
        if not recent:
            return
        self.expected = middle(recent)
        self.recent_sorted, self.residuals_sorted = recent, sorted(self.residuals[-self.memory :])
        self._measure_noise()


def middle(ordered: Sequence[float]) -> float:
    """The median of values in order.

    >>> middle([1.0, 2.0, 4.0]), middle([1.0, 2.0, 4.0, 8.0])
    (2.0, 3.0)
    """
    count = len(ordered)
    return 0.5 * (ordered[count // 2] + ordered[(count - 1) // 2])
