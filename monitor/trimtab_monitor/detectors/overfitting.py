"""The evaluation loss rises while the training loss falls."""

from __future__ import annotations

from dataclasses import dataclass, field
from math import isfinite, sqrt
from statistics import median
from sys import float_info
from typing import Annotated, ClassVar, Final

from pydantic import ConfigDict, Field
from pydantic.dataclasses import dataclass as settings_dataclass

from trimtab import wire
from trimtab_monitor.types import SEVERITY_RANK, Finding, Sample

EVALUATIONS_KEPT: Final = 16
FEWEST_BENDS: Final = {1: 3, 2: 8}
"""The noise of the evaluations is measured between neighbours, and, for noise that wanders, between every
second one: from at least so many of them."""

FEW_BENDS: Final = 4.0
"""The noise as measured from n of them is taken for (1 + FEW_BENDS / n) times as much: few may deceive."""

BEND_SIGMA: Final = 1.4826 / sqrt(1.5)
"""A standard deviation of noise, in medians of how far a value is from the middle of its neighbours."""

NOISE_SIGMA: Final = 4.0
"""A rise within so many standard deviations of the evaluation's noise is none."""

LARGEST_SCORE: Final = 1e6
"""Evaluations without any noise would make a rise infinitely many times as much."""

FALL_ERRORS: Final = 2.0
"""The training loss has fallen if it did so by so many standard errors of the two means."""


@settings_dataclass(frozen=True, config=ConfigDict(extra="forbid"))
class OverfittingSettings:
    """When a rise of the evaluation loss above its best is told."""

    evaluations: Annotated[
        int, Field(ge=2, le=12, description="So many evaluations in a row must lie above the best.")
    ] = 3
    min_rise: Annotated[
        float, Field(gt=0, description="A smaller rise is never told, as a fraction of the best.")
    ] = 0.02


@dataclass(slots=True)
class Mean:
    """The mean of the training losses between two evaluations, kept as sums."""

    count: int = 0
    total: float = 0.0
    squares: float = 0.0

    def falls_below(self, other: Mean) -> bool:
        """Whether it is certainly lower than the other."""
        if self.count < 2 or other.count < 2:
            return False
        error = sqrt(self._variance() / self.count + other._variance() / other.count)
        return self.total / self.count < other.total / other.count - FALL_ERRORS * error

    def _variance(self) -> float:
        mean = self.total / self.count
        return max(0.0, self.squares / self.count - mean * mean)


@dataclass(slots=True)
class Overfitting:
    """A `warning` names the step of the best evaluation: the checkpoint worth keeping.

    The noise of the evaluations is learned from how far each lies from the middle of its two neighbours, and
    a rise is measured from the median of the best and its neighbours: the best of many is lucky.

    >>> import random
    >>> noise = random.Random(1)
    >>> detector = Overfitting()
    >>> for step in range(1, 3001):
    ...     values = {"loss": 2.0 - step / 3000 + noise.gauss(0, 0.05)}
    ...     if step % 100 == 0:
    ...         values["eval_loss"] = 1.5 + (step / 1000 - 1.2) ** 2 / 4 + noise.gauss(0, 0.005)
    ...     found = detector.update(Sample(step, float(step), values))
    ...     if found:
    ...         print(
    ...             found.step, found.severity, found.evidence["best_step"], round(found.evidence["best"], 2)
    ...         )
    1800 warning 1100 1.49
    """

    kind: ClassVar[str] = "overfitting"
    settings: OverfittingSettings = field(default_factory=OverfittingSettings)
    evaluations: list[float] = field(default_factory=list)
    steps: list[int] = field(default_factory=list)
    best: float = 0.0
    best_step: int = 0
    level: float = 0.0
    since: Mean = field(default_factory=Mean)
    at_best: Mean = field(default_factory=Mean)
    above: int = 0
    onset_step: int = 0
    told: int = -1

    @property
    def active(self) -> bool:
        """Whether it was told, and the evaluation loss has not come back since."""
        return self.told >= 0

    def update(self, sample: Sample) -> Finding | None:
        """Take the next sample; return a finding when the evaluation loss has risen for long enough."""
        loss = sample.values.get(wire.LOSS)
        if loss is not None and isfinite(loss):
            since = self.since
            since.count += 1
            since.total += loss
            since.squares += loss * loss
        evaluation = sample.values.get(wire.EVAL_LOSS)
        if evaluation is None or not isfinite(evaluation):
            return None
        if self.evaluations and evaluation == self.evaluations[-1]:
            return None  # a logger that repeats its last value has not evaluated anew
        return self._evaluated(sample, evaluation)

    def _evaluated(self, sample: Sample, evaluation: float) -> Finding | None:
        lately, self.since = self.since, Mean()
        first = not self.evaluations
        self.evaluations.append(evaluation)
        self.steps.append(sample.step)
        del self.evaluations[:-EVALUATIONS_KEPT], self.steps[:-EVALUATIONS_KEPT]
        if first or evaluation < self.best:
            self.best, self.best_step, self.at_best = evaluation, sample.step, lately
            self.level = evaluation
            self._start_anew()
            return None
        if self.at_best.count < 2:
            self.at_best = lately
        if self.steps[-2:-1] == [self.best_step]:
            self.level = median([*self.evaluations[-3:-2], self.best, evaluation])
        return self._judge(sample, evaluation, lately)

    def _judge(self, sample: Sample, evaluation: float, lately: Mean) -> Finding | None:
        noise = self._noise()
        if noise is None:
            return None
        limit = max(self.settings.min_rise * abs(self.best), NOISE_SIGMA * noise)
        rise = evaluation - self.level
        if rise <= 0.0 or rise < (0.5 * limit if self.active else limit):
            self._start_anew()
            return None
        self.above += 1
        if self.above == 1:
            self.onset_step = sample.step
        if self.active or self.above < self.settings.evaluations or not lately.falls_below(self.at_best):
            return None
        self.told = SEVERITY_RANK["warning"]
        return Finding(
            kind=self.kind,
            metric=wire.EVAL_LOSS,
            severity="warning",
            step=sample.step,
            time=sample.time,
            onset_step=min(self.onset_step, sample.step),
            value=evaluation,
            expected=self.best,
            score=rise / max(noise, 0.25 * limit, rise / LARGEST_SCORE, float_info.min),
            evidence={
                "best": self.best,
                "best_step": self.best_step,
                "evaluations": self.above,
                "loss_at_best": self.at_best.total / self.at_best.count,
                "loss_now": lately.total / lately.count,
            },
        )

    def _noise(self) -> float | None:
        """The noise of one evaluation; None while there are too few to tell."""
        noises = [noise for apart in FEWEST_BENDS if (noise := self._noise_apart(apart)) is not None]
        return max(noises, default=None)

    def _noise_apart(self, apart: int) -> float | None:
        known = self.evaluations
        middles = range(apart, len(known) - apart)
        bends = [known[i] - 0.5 * (known[i - apart] + known[i + apart]) for i in middles]
        if len(bends) < FEWEST_BENDS[apart]:
            return None
        curved = median(bends)
        around = median([abs(bend - curved) for bend in bends])
        return BEND_SIGMA * around * (1.0 + FEW_BENDS / len(bends))

    def _start_anew(self) -> None:
        self.above = 0
        self.told = -1

    def rewind(self, step: int) -> None:
        """The run goes on from `step`: the evaluations after it did not happen."""
        while self.steps and self.steps[-1] > step:
            del self.steps[-1], self.evaluations[-1]
        if self.best_step > step and self.evaluations:
            self.best = min(self.evaluations)
            self.best_step = self.steps[self.evaluations.index(self.best)]
            self.level, self.at_best = self.best, Mean()
        self.since = Mean()
        self._start_anew()
