"""Tells when a series leaves its usual noise upwards: what spikes and explosions share.

A sample far above the level is not learned from at once: it waits. If the series comes back soon it was an
outlier of the noise, and is learned from, cut to the limit. If the series stays away it is something else,
and is never learned from, unless it stays for so long that it is the new normal.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from decimal import Decimal
from math import log
from typing import Annotated, Final, Literal

from pydantic import ConfigDict, Field
from pydantic.dataclasses import dataclass as settings_dataclass

from trimtab_monitor.detectors import young
from trimtab_monitor.detectors.level import RobustLevel
from trimtab_monitor.detectors.series import NOISE_FLOOR, WARM_UP_SAMPLES, Series
from trimtab_monitor.detectors.shapes import LARGEST_RHO, autocorrelation
from trimtab_monitor.types import SEVERITY_RANK, Finding, Sample, Severity

SUSPECT: Final = log(1000)
"""A sample so surprising comes once in a thousand: it is not learned from at once, and dates the onset."""

CALM: Final = log(20)
"""An excursion is over with a sample no more surprising than this: its way back is no usual noise either."""

OUTLIER_SAMPLES: Final = 2
"""An excursion of so few samples is an outlier of the usual noise, unless it was told as more."""

SPARSE: Final = ((50.0, 10.0, 0.8), (5.0, 18.0, 0.6))
"""In a log of so many steps or more between samples, one sample stands for many: with so much surprise, and
so large a share of the rise that is critical, it is huge."""

AGAIN_SAMPLES: Final = 4
AGAIN_SHARE: Final = 0.5
AGAIN_SIGMA: Final = 12.0
"""An excursion of so many samples, down to this share of its peak, that rises by so much, is another."""

SMOOTH_SAMPLES: Final = 128
LEAST_SMOOTH: Final = 0.4
SMOOTH_RISES: Final = 1.5
"""Noise with a larger autocorrelation than this, over so many samples, is that of a smoothed log. The least
rise that is told grows with it, by up to so many times itself."""

RESOLUTIONS: Final = 2.0
"""A rise of fewer steps of the last digit than this is told by no one: the log was rounded."""

Grade = Literal["none", "mark", "sustained", "huge"]
GRADE_RANK: Final[dict[Grade, int]] = {"none": 0, "mark": 1, "sustained": 2, "huge": 3}


@settings_dataclass(frozen=True, config=ConfigDict(extra="forbid"))
class ExcursionSettings:
    """When a rise above the usual noise is told. Surprise is -ln of a probability within that noise."""

    false_alarms_per_million: Annotated[
        float, Field(gt=0, le=1000, description="Single samples marked per million samples of clean noise.")
    ] = 1.0
    first_judged: Annotated[
        int,
        Field(
            ge=young.FEWEST_SAMPLES,
            description="Samples after which what is plain is told, though the usual noise is not known yet.",
        ),
    ] = 4
    min_rise: Annotated[
        float, Field(gt=0, description="A smaller rise is never told, as a fraction of the usual value.")
    ] = 0.06
    sustained_surprise: Annotated[
        float,
        Field(gt=0, description="Summed surprise of consecutive samples from which a rise is sustained."),
    ] = 24.0
    huge_rise: Annotated[
        float,
        Field(gt=0, description="With this rise, as a fraction, sustained_surprise in one sample is enough."),
    ] = 0.5
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
    """A series, how surprising the samples that wait are in sum, and the worst that was said of them.

    `rho` is the autocorrelation of the noise before the onset, once it is needed; -1 until then.
    """

    settings: ExcursionSettings = field(default_factory=ExcursionSettings)
    series: Series = field(default_factory=lambda: Series(RobustLevel(floor=NOISE_FLOOR)))
    surprise_sum: float = 0.0
    grade: Grade = "none"
    told: int = -1
    onset_step: int = 0
    again: bool = False
    rho: float = -1.0

    @property
    def active(self) -> bool:
        """Whether something is told of it, and the series has not come back."""
        return self.grade != "none"

    def update(self, step: int, value: float) -> Reading | None:
        """Take the next finite value; return a reading while there is something to tell."""
        series = self.series
        unit = series.unit(step, value)
        if unit is None:
            return None
        level = series.level
        if len(level.values) < WARM_UP_SAMPLES:
            return self._first_samples(step, unit, level.residual(unit))
        residual = unit - level.expected
        surprise = level.surprise(residual)
        if surprise < CALM and not series.waiting_steps:
            level.absorb(step, unit, residual)
            return None
        if surprise < SUSPECT and (surprise < CALM or not self._is_no_outlier):
            if series.waiting_steps:
                self._back_to_normal(level.residual_at(self._limit))
            level.absorb(step, unit, residual)
            return None
        self._wait(step, unit, residual)
        self.surprise_sum += min(surprise, self._limit)
        rise = series.rise(residual)
        if value - series.expected >= RESOLUTIONS * last_digit(value):
            self._raise_to(self._grade(rise, surprise))
        if series.waiting >= self.settings.accept_samples:
            self._accept_if_held(level.scale)
        return self._reading(series.expected, rise, residual / level.scale)

    @property
    def _is_no_outlier(self) -> bool:
        return self.series.waiting > OUTLIER_SAMPLES or GRADE_RANK[self.grade] >= GRADE_RANK["sustained"]

    def _first_samples(self, step: int, unit: float, residual: float) -> Reading | None:
        series, level = self.series, self.series.level
        if level.samples < self.settings.first_judged:
            level.absorb(step, unit, residual)
            return None
        look = young.first_look(level.values, unit, level.floor)
        rise = series.rise_above(look.expected, look.sigma, unit)
        least = self.settings.min_rise
        if not young.stands_out(look, rise, least, series.waiting):
            self._back_to_normal(young.PLAIN_SIGMA * look.sigma)
            level.absorb(step, unit, residual)
            return None
        self._wait(step, unit, residual)
        self._raise_to(
            "huge" if young.is_huge(look, rise, least) else "sustained" if series.waiting > 1 else "none"
        )
        if series.waiting >= young.ACCEPT_SAMPLES:
            self._accept_if_held(look.sigma)
        return self._reading(series.value_of(look.expected), rise, look.score)

    def _wait(self, step: int, unit: float, residual: float) -> None:
        if not self.series.waiting_steps:
            self._start_anew()
            self.onset_step = step
        elif self._rises_again(residual):
            self.series.forget_waiting()
            self._start_anew()
            self.again, self.onset_step = True, step
        self.series.wait(step, unit, residual)

    def _rises_again(self, residual: float) -> bool:
        """Whether it had come most of the way back, and is off again: that is told as another event."""
        waiting = self.series.waiting_residuals
        if self.series.linear or len(waiting) < AGAIN_SAMPLES or self.told < SEVERITY_RANK["warning"]:
            return False
        series, low = self.series, sorted(waiting[-3:])[1]
        far = residual >= low + AGAIN_SIGMA * series.level.scale
        large = series.rise(residual) >= series.rise(low) + log(1.0 + self.settings.critical_rise)
        return low <= AGAIN_SHARE * max(waiting) and far and large

    def _raise_to(self, grade: Grade) -> None:
        if GRADE_RANK[grade] > GRADE_RANK[self.grade]:
            self.grade = grade

    def _reading(self, expected: float, rise: float, score: float) -> Reading | None:
        if not self.active:
            return None
        series = self.series
        return Reading(self.grade, self.onset_step, series.waiting, expected, rise, score)

    def _grade(self, rise: float, surprise: float) -> Grade:
        settings = self.settings
        if rise < log(1.0 + settings.min_rise) or rise < (least := self._least_rise()):
            return "none"
        if self._is_huge(rise, surprise):
            return "huge"
        if self.series.waiting > 1 and self.surprise_sum >= settings.sustained_surprise:
            mean = self.series.rise(sum(self.series.waiting_residuals) / self.series.waiting)
            if mean >= least:
                return "sustained"
        return "mark" if surprise >= self._limit else "none"

    def _least_rise(self) -> float:
        """What a rise must be, as ln of a ratio: a running mean wanders more than its noise tells."""
        if self.rho < 0.0:
            self.rho = autocorrelation(self.series.level.residuals[-SMOOTH_SAMPLES:])
        smooth = max(0.0, self.rho - LEAST_SMOOTH) / (LARGEST_RHO - LEAST_SMOOTH)
        return log(1.0 + self.settings.min_rise) * (1.0 + SMOOTH_RISES * smooth)

    def _is_huge(self, rise: float, surprise: float) -> bool:
        settings = self.settings
        if surprise >= settings.sustained_surprise and rise >= log(1.0 + settings.huge_rise):
            return True
        between = self.series.level.steps_between
        return any(
            between >= steps and surprise >= least and rise >= log(1.0 + share * settings.critical_rise)
            for steps, least, share in SPARSE
        )

    @property
    def _limit(self) -> float:
        return log(1e6 / self.settings.false_alarms_per_million)

    def _back_to_normal(self, limit: float) -> None:
        """What waited was noise, and is learned from, cut to `limit`, if there was so little of it.

        However large it was: a hard batch that comes back now and then is part of what is usual.
        """
        if not self.series.waiting_steps:
            return
        if self.series.waiting <= OUTLIER_SAMPLES:
            self.series.learn_waiting(limit)
        self.series.forget_waiting()
        self._start_anew()

    def _accept_if_held(self, sigma: float) -> None:
        """What has stayed for so long is the new normal, unless it still climbs: then it waits on."""
        if self.series.is_held(sigma):
            self.series.accept_waiting()
            self._start_anew()
        else:
            self.series.forget_half()

    def _start_anew(self) -> None:
        self.surprise_sum = 0.0
        self.grade = "none"
        self.told = -1
        self.again = False
        self.rho = -1.0

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
            evidence={"samples": reading.samples, "again": self.again},
        )

    def rewind(self, step: int) -> None:
        """The run goes on from `step`: what came after it did not happen."""
        self._start_anew()
        self.series.rewind(step)


def last_digit(value: float) -> float:
    """What one step of the last digit of a number is, as it was logged; at most 1.

    >>> last_digit(0.0002), last_digit(2.5), last_digit(3e30)
    (0.0001, 0.1, 1.0)
    """
    exponent = Decimal(repr(value)).as_tuple().exponent
    return 10.0 ** min(int(exponent), 0)
