"""The loss creeps upwards: too slowly for any one step to stand out, for too long to be noise."""

from __future__ import annotations

from dataclasses import dataclass, field
from math import inf, isfinite, log, sqrt
from typing import Annotated, ClassVar, Final

from pydantic import ConfigDict, Field
from pydantic.dataclasses import dataclass as settings_dataclass

from trimtab import wire
from trimtab_monitor.detectors.level import RobustLevel
from trimtab_monitor.detectors.series import NOISE_FLOOR, Series
from trimtab_monitor.types import SEVERITY_RANK, Finding, Sample, Severity

LEVEL_WINDOW: Final = 64
LARGEST_SCORE: Final = 4.0
"""One sample counts for at most so many standard deviations: a spike is not a drift."""

FEWEST_SAMPLES: Final = 10
LATELY: Final = 0.3
"""Weight of the newest sample in the running mean that tells whether a drift is over."""

RESIDUAL_LIMIT: Final = 6.0
"""Residuals are learned from cut to so many standard deviations."""


@settings_dataclass(frozen=True, config=ConfigDict(extra="forbid"))
class DivergenceSettings:
    """When a slow rise of the loss is told. Sigma is the standard deviation of the loss's usual noise."""

    allowance_sigma: Annotated[
        float, Field(gt=0, description="A rise up to so many sigma does not count at all.")
    ] = 0.75
    cusum_sigma: Annotated[
        float, Field(gt=0, description="Summed rise above the allowance that makes a drift, in sigma.")
    ] = 10.0
    slope_t: Annotated[
        float, Field(gt=0, description="The slope since the onset must be so many of its standard errors.")
    ] = 4.0
    min_rise: Annotated[
        float, Field(gt=0, description="A smaller rise is never told, as a fraction of the usual loss.")
    ] = 0.025
    min_rise_sigma: Annotated[float, Field(gt=0, description="A smaller rise is never told, in sigma.")] = 2.0
    level_rise: Annotated[
        float, Field(gt=0, description="Mean rise that is told even if it climbs no further, as a fraction.")
    ] = 0.1
    critical_rise: Annotated[
        float, Field(gt=0, description="Rise from which it is critical, as a fraction of the usual loss.")
    ] = 0.25
    accept_samples: Annotated[
        int, Field(ge=16, description="A level held for so many samples is the new normal.")
    ] = 128


@dataclass(slots=True)
class Divergence:
    """A one-sided CUSUM (Page 1954) on the detrended loss finds a rise; the slope since then tells a drift.

    Samples since the onset wait, and are learned from only if the sum falls back to zero, so the level stays
    that of before. A step to a benign new level has no slope, and is accepted after `accept_samples`.

    >>> import random
    >>> noise = random.Random(1)
    >>> losses = [2.0 + noise.gauss(0, 0.03) + max(0, i - 200) * 0.003 for i in range(260)]
    >>> detector = Divergence()
    >>> for step, loss in enumerate(losses, start=1):
    ...     found = detector.update(Sample(step, float(step), {"loss": loss}))
    ...     if found:
    ...         print(found.step, found.onset_step, found.severity)
    239 218 warning
    """

    kind: ClassVar[str] = "divergence"
    settings: DivergenceSettings = field(default_factory=DivergenceSettings)
    series: Series = field(
        default_factory=lambda: Series(RobustLevel(window=LEVEL_WINDOW, floor=NOISE_FLOOR))
    )
    cusum: float = 0.0
    lately: float = 0.0
    sums: list[float] = field(default_factory=lambda: [0.0, 0.0, 0.0])
    told: int = -1

    @property
    def active(self) -> bool:
        """Whether the drift was told, and the loss has not come back."""
        return self.told >= 0

    def update(self, sample: Sample) -> Finding | None:
        """Take the next sample; return a finding when the drift is found or gets more severe."""
        loss = sample.values.get(wire.LOSS)
        if loss is None or not isfinite(loss):
            return None
        series = self.series
        unit = series.unit(loss)
        if unit is None:
            return None
        level = series.level
        residual = level.residual(unit)
        if not series.warm:
            level.absorb(sample.step, unit, residual)
            return None
        return self._follow(sample, loss, unit, residual)

    def _follow(self, sample: Sample, loss: float, unit: float, residual: float) -> Finding | None:
        series, level = self.series, self.series.level
        if not series.waiting:
            self._start_anew()
        score = min(residual / level.scale, LARGEST_SCORE)
        self.cusum += score - self.settings.allowance_sigma
        self.lately += LATELY * (score - self.lately)
        if self.cusum <= 0.0 or (self.active and self.lately < self.settings.allowance_sigma):
            self._back_to_normal()
            level.absorb(sample.step, unit, residual)
            return None
        self._wait(sample.step, unit, residual)
        found = self._judge(sample, loss)
        if series.waiting >= self.settings.accept_samples:
            series.accept_waiting()
        return found

    def _back_to_normal(self) -> None:
        """What waited was noise, and is learned from, unless a drift was told of it."""
        if self.active:
            self.series.forget_waiting()
        self.series.learn_waiting(limit=RESIDUAL_LIMIT * self.series.level.scale)
        self._start_anew()

    def _wait(self, step: int, unit: float, residual: float) -> None:
        index = self.series.waiting
        self.series.wait(step, unit, residual)
        cut = min(residual, RESIDUAL_LIMIT * self.series.level.scale)
        sums = self.sums
        sums[0] += cut
        sums[1] += cut * cut
        sums[2] += cut * index

    def _judge(self, sample: Sample, loss: float) -> Finding | None:
        settings, scale = self.settings, self.series.level.scale
        if self.series.waiting < FEWEST_SAMPLES or self.cusum < settings.cusum_sigma:
            return None
        height, slope_t = self._line()
        rise = self.series.rise(height)
        drifts = slope_t >= settings.slope_t and rise >= log(1.0 + settings.min_rise)
        if height < settings.min_rise_sigma * scale or not (drifts or self._stays_up()):
            return None
        severity: Severity = "critical" if rise >= log(1.0 + settings.critical_rise) else "warning"
        if SEVERITY_RANK[severity] <= self.told:
            return None
        self.told = SEVERITY_RANK[severity]
        return Finding(
            kind=self.kind,
            metric=wire.LOSS,
            severity=severity,
            step=sample.step,
            time=sample.time,
            onset_step=self.series.waiting_steps[0],
            value=loss,
            expected=self.series.expected,
            score=height / scale,
            evidence={"samples": self.series.waiting, "slope_t": slope_t},
        )

    def _stays_up(self) -> bool:
        """Whether the loss is up by so much, for so long, that it need not climb further to be told."""
        settings = self.settings
        mean = self.sums[0] / self.series.waiting
        enough = self.cusum >= 2.0 * settings.cusum_sigma
        return enough and self.series.rise(mean) >= log(1.0 + settings.level_rise)

    def _line(self) -> tuple[float, float]:
        """Fit a line to the residuals since the onset: its height now, and its slope in standard errors."""
        count = self.series.waiting
        total, squares, moments = self.sums
        mean, middle = total / count, (count - 1) / 2
        around = (count**3 - count) / 12
        slope = (moments - middle * total) / around
        left = max(0.0, squares - count * mean * mean - slope * slope * around)
        noise = max(sqrt(left / (count - 2)), 0.7 * self.series.level.scale)
        return mean + slope * middle, slope * sqrt(around) / noise if noise > 0.0 else inf

    def _start_anew(self) -> None:
        self.cusum = self.lately = 0.0
        self.sums = [0.0, 0.0, 0.0]
        self.told = -1

    def rewind(self, step: int) -> None:
        """The run goes on from `step`."""
        self._start_anew()
        self.series.rewind(step)
