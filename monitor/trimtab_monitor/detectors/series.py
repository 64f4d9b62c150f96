"""One metric in the unit in which its noise is even, with the samples that wait to be understood."""

from __future__ import annotations

from dataclasses import dataclass, field
from math import exp, log
from typing import Final

from trimtab_monitor.detectors.level import RobustLevel, middle

WARM_UP_SAMPLES: Final = 30

NOISE_FLOOR: Final = 0.002
"""The least noise that is believed, as a fraction of the value."""

NEGATIVES: Final = 3
"""A series that was positive for long is taken as logarithms until so many values of it were negative."""

HELD_RISE: Final = log(1.02)
"""A level that rises by no more than this, from the earlier to the later half of it, is held."""

NEAR_ZERO: Final = 0.2
"""With more noise than this, in logarithms, a series is about to cross zero."""

LINEAR_UNIT: Final = 10.0
"""Where a series is not positive, a rise is measured against its value or so many sigma, if that is more."""


@dataclass(slots=True)
class Series:
    """A positive series is taken as logarithms, any other as it is.

    A sample that may be no noise waits, and is learned from only when its kind is known: as an outlier of the
    noise, or as the new normal. So whatever starts an incident does not move the level it is judged by.

    >>> series = Series(RobustLevel(floor=NOISE_FLOOR))
    >>> series.unit(1, 1.0), series.unit(2, 0.0), series.unit(3, 1.0), series.unit(3, 2.0), series.linear
    (0.0, None, 0.0, None, False)
    >>> series.unit(4, -3.0), series.unit(5, 1.0), series.linear
    (-3.0, 1.0, True)
    """

    level: RobustLevel
    linear: bool = False
    negatives: int = 0
    last_step: int | None = None
    waiting_steps: list[int] = field(default_factory=list)
    waiting_values: list[float] = field(default_factory=list)
    waiting_residuals: list[float] = field(default_factory=list)

    @property
    def warm(self) -> bool:
        """Whether it has seen enough to judge."""
        return self.level.samples >= WARM_UP_SAMPLES

    @property
    def waiting(self) -> int:
        """How many samples wait."""
        return len(self.waiting_steps)

    @property
    def expected(self) -> float:
        """What the metric should be, in its own unit."""
        return self.value_of(self.level.expected)

    def value_of(self, unit: float) -> float:
        """The metric's own value for one in the level's unit."""
        return unit if self.linear else exp(unit)

    def unit(self, step: int, value: float) -> float | None:
        """Return the value in the level's unit; None for one that tells nothing.

        That is a zero in a positive series, or its first two negative values; and any but the first value of
        a step: what is logged twice lasts no longer for that.
        """
        if step == self.last_step:
            return None
        self.last_step = step
        if self.linear:
            return value
        if value > 0.0:
            return log(value)
        if value == 0.0:
            return None
        self.negatives += 1
        if self.negatives < NEGATIVES and self.warm and self.level.scale < NEAR_ZERO:
            return None
        self._go_linear()
        return value

    def _go_linear(self) -> None:
        self.linear = True
        level = self.level
        level.go_linear([exp(known) for known in level.values], [exp(known) for known in level.past_levels])
        self.forget_waiting()

    def rise(self, residual: float) -> float:
        """How far a residual is up, as the logarithm of a ratio: ln 2 is a doubling."""
        if not self.linear:
            return residual
        return self.rise_above(self.level.expected, self.level.scale, self.level.expected + residual)

    def rise_above(self, expected: float, sigma: float, unit: float) -> float:
        """The same for any expected value, and a noise of `sigma`, in the level's unit."""
        if not self.linear:
            return unit - expected
        usual = max(abs(expected), LINEAR_UNIT * sigma)
        return log(1.0 + max(0.0, unit - expected) / usual)

    def wait(self, step: int, value: float, residual: float) -> None:
        """Keep a sample aside."""
        self.waiting_steps.append(step)
        self.waiting_values.append(value)
        self.waiting_residuals.append(residual)

    def learn_waiting(self, limit: float) -> None:
        """What waited was noise: learn from it, with residuals cut to `limit`."""
        waited = zip(self.waiting_steps, self.waiting_values, self.waiting_residuals, strict=True)
        for step, value, residual in waited:
            self.level.absorb(step, value, min(residual, limit))
        self.forget_waiting()

    def accept_waiting(self) -> None:
        """What waited is the new normal."""
        self.level.move_to(self.waiting_steps, self.waiting_values)
        self.forget_waiting()

    def is_held(self, sigma: float) -> bool:
        """Whether what waits has stayed where it came to: its later half is no higher than its earlier."""
        half = self.waiting // 2
        before, after = sorted(self.waiting_residuals[:half]), sorted(self.waiting_residuals[half:])
        return middle(after) - middle(before) <= max(sigma, 0.0 if self.linear else HELD_RISE)

    def forget_half(self) -> None:
        """Of what waits the earlier half is forgotten: it is as much as is needed to go on."""
        for column in (self.waiting_steps, self.waiting_values, self.waiting_residuals):
            del column[: len(column) // 2]

    def forget_waiting(self) -> None:
        """What waited is not to be learned from."""
        self.waiting_steps.clear()
        self.waiting_values.clear()
        self.waiting_residuals.clear()

    def rewind(self, step: int) -> None:
        """The run goes on from `step`: what came after it did not happen."""
        self.last_step = None
        self.forget_waiting()
        self.level.rewind(step)
