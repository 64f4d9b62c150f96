"""Tells when a series leaves its usual noise upwards: what spikes and explosions share.

A sample far above the level is not learned from at once: it waits. If the series comes back soon it was an
outlier of the noise, and is learned from, cut to the limit. If the series stays away it is something else,
and is never learned from, unless it stays for so long that it is the new normal.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from math import log
from typing import Annotated, Final, Literal

from pydantic import ConfigDict, Field
from pydantic.dataclasses import dataclass as settings_dataclass

from trimtab_monitor.detectors.level import RobustLevel
from trimtab_monitor.detectors.series import NOISE_FLOOR, Series
from trimtab_monitor.types import SEVERITY_RANK, Finding, Sample, Severity

SUSPECT: Final = log(1000)
"""A sample so surprising comes once in a thousand: it is not learned from at once, and dates the onset."""

OUTLIER_SAMPLES: Final = 2
"""An excursion of so few samples is an outlier of the usual noise."""

HUGE_RISES: Final = 2.5
"""A huge rise is at least so many times the least rise that is told."""

Grade = Literal["none", "mark", "sustained", "huge"]
GRADE_RANK: Final[dict[Grade, int]] = {"none": 0, "mark": 1, "sustained": 2, "huge": 3}


@settings_dataclass(frozen=True, config=ConfigDict(extra="forbid"))
class ExcursionSettings:
    """When a rise above the usual noise is told. Surprise is -ln of a probability within that noise."""

    false_alarms_per_million: Annotated[
        float, Field(gt=0, le=1000, description="Single samples marked per million samples of clean noise.")
    ] = 1.0
    min_rise: Annotated[
        float, Field(gt=0, description="A smaller rise is never told, as a fraction of the usual value.")
    ] = 0.06
    sustained_surprise: Annotated[
        float,
        Field(gt=0, description="Summed surprise of consecutive samples from which a rise is sustained."),
    ] = 24.0
    huge_surprise: Annotated[
        float, Field(gt=0, description="Surprise of one sample from which it needs no second.")
    ] = 36.0
    huge_rise: Annotated[
        float,
        Field(gt=0, description="With this rise, as a fraction, sustained_surprise in one sample is enough."),
    ] = 1.0
    critical_rise: Annotated[
        float, Field(gt=0, description="Rise from which it is critical, as a fraction of the usual value.")
    ] = 0.25
    critical_samples: Annotated[
        int, Field(ge=1, description="Samples that a rise which is not huge must last to be critical.")
    ] = 3
    accept_samples: Annotated[
        int, Field(ge=8, description="A level held for so many samples is the new normal.")
    ] = 48


@dataclass(frozen=True, slots=True)
class Reading:
    """What an excursion looks like after one sample. `rise` is ln(value / expected), or its like."""

    grade: Grade
    onset_step: int
    samples: int
    expected: float
    rise: float
    score: float


@dataclass(slots=True)
class Excursion:
    """A series, how surprising the samples that wait are in sum, and the worst that was said of them."""

    settings: ExcursionSettings = field(default_factory=ExcursionSettings)
    series: Series = field(default_factory=lambda: Series(RobustLevel(floor=NOISE_FLOOR)))
    surprise_sum: float = 0.0
    grade: Grade = "none"
    told: int = -1

    @property
    def active(self) -> bool:
        """Whether something is told of it, and the series has not come back."""
        return self.grade != "none"

    def update(self, step: int, value: float) -> Reading | None:
        """Take the next finite value; return a reading while there is something to tell."""
        series = self.series
        unit = series.unit(value)
        if unit is None:
            return None
        level = series.level
        residual = level.residual(unit)
        if not series.warm:
            level.absorb(step, unit, residual)
            return None
        surprise = level.surprise(residual)
        if surprise < SUSPECT:
            if self.active or series.waiting:
                self._back_to_normal()
            level.absorb(step, unit, residual)
            return None
        return self._out_of_the_ordinary(step, unit, residual, surprise)

    def _out_of_the_ordinary(
        self, step: int, unit: float, residual: float, surprise: float
    ) -> Reading | None:
        series = self.series
        if not series.waiting:
            self._start_anew()
        series.wait(step, unit, residual)
        self.surprise_sum += min(surprise, self._limit)
        rise = series.rise(residual)
        grade = self._grade(rise, surprise)
        if GRADE_RANK[grade] > GRADE_RANK[self.grade]:
            self.grade = grade
        reading = Reading(
            grade=self.grade,
            onset_step=series.waiting_steps[0],
            samples=series.waiting,
            expected=series.expected,
            rise=rise,
            score=residual / series.level.scale,
        )
        if series.waiting >= self.settings.accept_samples:
            series.accept_waiting()
        return reading if self.active else None

    def _grade(self, rise: float, surprise: float) -> Grade:
        settings = self.settings
        if rise < log(1.0 + settings.min_rise):
            return "none"
        if surprise >= settings.huge_surprise and rise >= log(1.0 + HUGE_RISES * settings.min_rise):
            return "huge"
        if surprise >= settings.sustained_surprise and rise >= log(1.0 + settings.huge_rise):
            return "huge"
        if self.series.waiting > 1 and self.surprise_sum >= settings.sustained_surprise:
            mean = self.series.rise(sum(self.series.waiting_residuals) / self.series.waiting)
            if mean >= log(1.0 + settings.min_rise):
                return "sustained"
        return "mark" if surprise >= self._limit else "none"

    @property
    def _limit(self) -> float:
        return log(1e6 / self.settings.false_alarms_per_million)

    def _back_to_normal(self) -> None:
        if 0 < self.series.waiting <= OUTLIER_SAMPLES:
            self.series.learn_waiting(limit=self.series.level.residual_at(self._limit))
        self.series.forget_waiting()
        self._start_anew()

    def _start_anew(self) -> None:
        self.surprise_sum = 0.0
        self.grade = "none"
        self.told = -1

    def lasts(self, reading: Reading) -> bool:
        """Whether the rise is large and has lasted: the common part of what is critical."""
        large = reading.rise >= log(1.0 + self.settings.critical_rise)
        return large and (reading.grade == "huge" or reading.samples >= self.settings.critical_samples)

    def tell(
        self, kind: str, metric: str, severity: Severity, sample: Sample, reading: Reading
    ) -> Finding | None:
        """Make a finding of a reading, unless as much was told of this excursion before."""
        if SEVERITY_RANK[severity] <= self.told:
            return None
        self.told = SEVERITY_RANK[severity]
        return Finding(
            kind=kind,
            metric=metric,
            severity=severity,
            step=sample.step,
            time=sample.time,
            onset_step=reading.onset_step,
            value=sample.values[metric],
            expected=reading.expected,
            score=reading.score,
            evidence={"samples": reading.samples},
        )

    def rewind(self, step: int) -> None:
        """The run goes on from `step`: what came after it did not happen."""
        self._start_anew()
        self.series.rewind(step)
