"""Finds that the loss is lastingly higher than it was: what slow divergence and level shifts share.

A one-sided CUSUM (Page 1954) on the detrended loss finds the rise. Samples since its onset wait, and are
learned from only if the sum falls back to zero, so that the level stays that of before.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from math import log, sqrt
from statistics import median
from typing import Annotated, Final

from pydantic import ConfigDict, Field
from pydantic.dataclasses import dataclass as settings_dataclass

from trimtab_monitor.detectors.best_level import BestLevel
from trimtab_monitor.detectors.level import RobustLevel
from trimtab_monitor.detectors.rate_climb import RateClimb
from trimtab_monitor.detectors.series import NOISE_FLOOR, WARM_UP_SAMPLES, Series
from trimtab_monitor.detectors.shapes import Shape, autocorrelation, fit

LEVEL_WINDOW: Final = 64
LARGEST_SCORE: Final = 4.0
"""One sample counts for at most so many standard deviations in the sum: a spike is not a drift."""

LEAST_SUM: Final = 2.0
"""Samples wait from this sum on, in sigma; a smaller one is everyday noise."""

HIGHER: Final = 1.05
"""A sum so many times as high as ever is looked at closely: only then is there anything new."""

FEWEST_SAMPLES: Final = 14
"""A rise is lasting after so many samples."""

NOISE_SAMPLES: Final = 256
"""From so many samples before the onset it is learned how correlated the noise is."""

BEFORE_SAMPLES: Final = 16
"""So many samples from before the onset are looked at too: they tell a step from a ramp."""

LARGEST_RESIDUAL: Final = 6.0
"""Residuals are cut to so many sigma where shapes are fitted, and where they are learned from."""

MIDDLE_OF_LATER_HALF: Final = 0.75
"""The middle of the later half of a ramp is so much of its height."""

LATELY: Final = 0.3
"""Weight of the newest sample in the running mean that tells whether a rise is over."""

LARGEST_LAG: Final = 0.5
"""A level lags behind a falling loss; at most so many sigma are allowed for that."""


@settings_dataclass(frozen=True, config=ConfigDict(extra="forbid"))
class LastingRiseSettings:
    """When a rise of the loss counts as lasting. Sigma is the standard deviation of its usual noise."""

    false_alarms_per_million: Annotated[
        float,
        Field(gt=0, le=1000, description="Rises told per million clean samples, if the noise were known."),
    ] = 0.01
    allowance_sigma: Annotated[
        float, Field(gt=0, description="A rise up to so many sigma does not count at all.")
    ] = 0.5
    cusum_sigma: Annotated[
        float, Field(gt=0, description="Summed rise above the allowance that is looked at closely, in sigma.")
    ] = 12.0
    most_noise: Annotated[
        float,
        Field(
            gt=0,
            description="A loss whose sigma is a larger fraction of its value wanders, and is not judged.",
        ),
    ] = 0.1
    climbing_rise: Annotated[
        float,
        Field(
            gt=0,
            description="While the learning rate warms up, or climbs back to where it was, a smaller rise of "
            "the loss is its doing, and is not told, as a fraction of the usual loss.",
        ),
    ] = 0.15
    above_best: Annotated[
        float,
        Field(
            gt=0,
            description="A loss that is by and by higher than its best by this fraction has diverged, "
            "however slowly; by twice that it is critical.",
        ),
    ] = 0.5
    accept_samples: Annotated[
        int, Field(ge=16, description="A level held for so many samples is the new normal.")
    ] = 128

    @property
    def least_gain(self) -> float:
        """Twice the log of the likelihood ratio that a shape must reach."""
        return 2.0 * log(1e6 / self.false_alarms_per_million)


@dataclass(frozen=True, slots=True)
class Lift:
    """A shape in the loss: its gain, since when it lasts, and how far up the loss now is by it.

    `rise` is ln(value / expected), or its like for a series that is not positive.
    """

    gain: float
    samples: int
    onset_step: int
    height_sigma: float
    rise: float


@dataclass(frozen=True, slots=True)
class Rise:
    """A lasting rise after one sample: as a step, and as a ramp; and from the best of the run, if it is far.

    `expected` is the usual loss, `best` the best. A rise below `least_rise` is not told.
    """

    expected: float
    step: Lift
    ramp: Lift
    least_rise: float = 0.0
    best: float = 0.0
    from_best: Lift | None = None


NO_LIFT: Final = Lift(0.0, 0, 0, 0.0, 0.0)
"""Nothing rises in this shape."""


@dataclass(slots=True)
class LastingRise:
    """The sum, the samples that wait since its onset, and whether anything was told of them.

    `rho` is the autocorrelation of the noise before the onset, once it is needed; -1 until then.
    """

    settings: LastingRiseSettings = field(default_factory=LastingRiseSettings)
    series: Series = field(
        default_factory=lambda: Series(RobustLevel(window=LEVEL_WINDOW, floor=NOISE_FLOOR, slow=True))
    )
    rate: RateClimb = field(default_factory=RateClimb)
    best: BestLevel = field(default_factory=BestLevel)
    cusum: float = 0.0
    lately: float = 0.0
    rho: float = -1.0
    highest: float = 0.0
    told: bool = False

    def update(self, step: int, value: float) -> Rise | None:
        """Take the next finite value; return the rise when it is significant, and higher than ever."""
        unit = self.series.unit(step, value)
        if unit is None:
            return None
        above = 0.0 if self.series.linear else self.best.note(step, unit)
        rise = self._judge(step, unit)
        if above < log(1.0 + self.settings.above_best) or self.best.noise > log(
            1.0 + self.settings.most_noise
        ):
            return rise
        return self._far(rise, above)

    def _far(self, rise: Rise | None, above: float) -> Rise:
        """The loss has been left behind by whatever adapts to it: say how far it is from its best."""
        series, best = self.series, self.best
        sigma = max(best.noise, NOISE_FLOOR)
        lift = Lift(0.0, 0, best.left_step, above / sigma, above)
        known = rise or Rise(series.expected, NO_LIFT, NO_LIFT)
        return replace(known, best=series.value_of(best.best), from_best=lift)

    def _judge(self, step: int, unit: float) -> Rise | None:
        series = self.series
        level = series.level
        if len(level.values) < WARM_UP_SAMPLES:
            level.absorb(step, unit, level.residual(unit))
            return None
        residual = unit - level.expected
        score = (residual - max(level.lag, -LARGEST_LAG * level.scale)) / level.scale
        self.cusum += min(score, LARGEST_SCORE) - self.settings.allowance_sigma
        if self.cusum < LEAST_SUM and not series.waiting_steps:
            self.cusum = max(0.0, self.cusum)
            level.absorb(step, unit, residual)
            return None
        return self._follow(step, unit, residual, min(score, LARGEST_SCORE))

    def _follow(self, step: int, unit: float, residual: float, score: float) -> Rise | None:
        series, allowance = self.series, self.settings.allowance_sigma
        self.lately += LATELY * (score - self.lately)
        if self.cusum <= 0.0 or (self.told and self.lately < allowance):
            self._back_to_normal()
            series.level.absorb(step, unit, residual)
            return None
        series.wait(step, unit, residual)
        rise = self._look_closely() if self.cusum > HIGHER * self.highest else None
        if series.waiting >= self.settings.accept_samples:
            self._accept_if_held()
        return rise

    def _accept_if_held(self) -> None:
        """What has stayed for so long is the new normal, unless it still climbs: then it waits on."""
        if self.series.is_held(self.series.level.scale):
            if self.told:
                self.best.accept(log(1.0 + self.settings.above_best))
            self.series.accept_waiting()
            self._start_anew()
        else:
            self.series.forget_half()

    def _look_closely(self) -> Rise | None:
        """Fit the shapes, where the sum is higher than it ever was: only then is there anything new."""
        if self.cusum < self.settings.cusum_sigma or self.series.waiting < FEWEST_SAMPLES:
            return None
        self.highest = self.cusum
        if self.rho < 0.0:
            self.rho = autocorrelation(self.series.level.residuals[-NOISE_SAMPLES:])
        lasting = sqrt((1.0 + self.rho) / (1.0 - self.rho))
        significant = self.cusum >= self.settings.cusum_sigma * lasting
        return self._shaped() if significant and not self._is_too_noisy else None

    @property
    def _is_too_noisy(self) -> bool:
        return self.series.rise(self.series.level.scale) > log(1.0 + self.settings.most_noise)

    def _shaped(self) -> Rise:
        series, level = self.series, self.series.level
        lag = max(level.lag, -LARGEST_LAG * level.scale)
        residuals = level.residuals[-BEFORE_SAMPLES:] + series.waiting_residuals
        most = LARGEST_RESIDUAL * level.scale
        step, ramp = fit(
            [max(-most, min(most, residual - lag)) / level.scale for residual in residuals], self.rho
        )
        half = residuals[-ramp.samples // 2 :]
        return Rise(
            expected=series.expected,
            step=self._lift(step, median(residuals[-step.samples :])),
            ramp=self._lift(ramp, median(half) / MIDDLE_OF_LATER_HALF),
            least_rise=log(1.0 + self.settings.climbing_rise) if self.rate.climbs else 0.0,
        )

    def _lift(self, shape: Shape, height: float) -> Lift:
        """How far up it is: by a median, which neither an outlier nor the cut of a residual changes."""
        series = self.series
        steps = series.level.steps[-BEFORE_SAMPLES:] + series.waiting_steps
        onset = steps[-shape.samples] if shape.samples else steps[-1]
        return Lift(shape.gain, shape.samples, onset, height / series.level.scale, series.rise(height))

    def _back_to_normal(self) -> None:
        """What waited was noise, and is learned from, unless something was told of it."""
        if not self.told:
            self.series.learn_waiting(limit=LARGEST_RESIDUAL * self.series.level.scale)
        self.series.forget_waiting()
        self._start_anew()

    def _start_anew(self) -> None:
        self.cusum = self.highest = self.lately = 0.0
        self.rho = -1.0
        self.told = False

    def rewind(self, step: int) -> None:
        """The run goes on from `step`: what came after it did not happen."""
        self._start_anew()
        self.best = BestLevel()
        self.series.rewind(step)
