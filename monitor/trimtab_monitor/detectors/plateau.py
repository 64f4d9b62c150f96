"""The loss no longer falls, although the learning rate is not at its end."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import pairwise
from math import inf, isfinite, sqrt
from statistics import median
from typing import Annotated, ClassVar, Final

from pydantic import ConfigDict, Field
from pydantic.dataclasses import dataclass as settings_dataclass

from trimtab import wire
from trimtab_monitor.types import SEVERITY_RANK, Finding, Sample

FIRST_BLOCK_SAMPLES: Final = 16
MOST_BLOCKS: Final = 64
FEWEST_BLOCKS: Final = 30
"""Fewer blocks give no line worth judging: a third of them is one."""

SURE: Final = 3.0
"""The fall is known up to so many of its standard errors, one time in 700 it is more."""

GAUSS_MAD: Final = 1.4826
"""A standard deviation, in median absolute deviations of Gaussian noise."""

MOST_ALIKE: Final = 0.9
"""The highest correlation between neighbours that is believed."""

RATE_RAISED: Final = 1.2
"""From this factor, a learning rate has been raised, and the loss is expected to rise with it."""


@settings_dataclass(frozen=True, config=ConfigDict(extra="forbid"))
class PlateauSettings:
    """When a loss that stands still is told: the last third of the run is compared with the third before."""

    fall_share: Annotated[
        float,
        Field(
            gt=0,
            lt=0.5,
            description="A plateau falls by less than this share of what the loss fell in the third before.",
        ),
    ] = 0.2
    min_fall: Annotated[
        float,
        Field(gt=0, description="The loss must have fallen before by at least this fraction of itself."),
    ] = 0.01
    min_samples: Annotated[
        int, Field(ge=480, description="A shorter run is never on a plateau, in samples.")
    ] = 1000
    final_rate: Annotated[
        float,
        Field(
            ge=0, le=1, description="At less than this fraction of the highest learning rate a run is ending."
        ),
    ] = 0.2


@dataclass(frozen=True, slots=True)
class Line:
    """A straight line through block means: how far it falls along them, and how surely that is known."""

    fall: float
    error: float


@dataclass(slots=True)
class Plateau:
    """Keeps the means of at most 64 equal blocks that cover the whole run, so its memory grows with the run.

    A power law falls, in the last third of a run, by a third or more of its fall in the third before. A loss
    that certainly falls by less than a fifth of it has stopped. It is told once, as `info`: what to do about
    it (lower the rate, stop, leave it) is for people to say.

    >>> import random
    >>> noise = random.Random(1)
    >>> losses = [2.0 + 4.0 * max(i, 10) ** -0.4 + noise.gauss(0, 0.02) for i in range(4000)]
    >>> detector, stopped = Plateau(), Plateau()
    >>> for step, loss in enumerate(losses, start=1):
    ...     assert detector.update(Sample(step, float(step), {"loss": loss, "lr": 1e-3})) is None
    ...     loss = loss if step < 1500 else losses[1500] + noise.gauss(0, 0.02)
    ...     if found := stopped.update(Sample(step, float(step), {"loss": loss, "lr": 1e-3})):
    ...         print(found.step, found.onset_step, found.severity)
    2112 1408 info
    """

    kind: ClassVar[str] = "plateau"
    settings: PlateauSettings = field(default_factory=PlateauSettings)
    ends: list[int] = field(default_factory=list)
    means: list[float] = field(default_factory=list)
    rates: list[float] = field(default_factory=list)
    block_samples: int = FIRST_BLOCK_SAMPLES
    count: int = 0
    total: float = 0.0
    rate: float = 0.0
    highest_rate: float = 0.0
    floor: float = inf
    told: int = -1

    @property
    def active(self) -> bool:
        """Whether a plateau was told, and the loss has not fallen further since."""
        return self.told >= 0

    def update(self, sample: Sample) -> Finding | None:
        """Take the next sample; return a finding when a plateau has been going on for a third of the run."""
        loss = sample.values.get(wire.LOSS)
        if loss is None or not isfinite(loss):
            return None
        rate = sample.values.get(wire.LR)
        if rate is not None and isfinite(rate):
            self.rate = rate
        self.total += loss
        self.count += 1
        if self.count < self.block_samples:
            return None
        return self._close_block(sample)

    def _close_block(self, sample: Sample) -> Finding | None:
        self.highest_rate = max(self.highest_rate, self.rate)
        self.ends.append(sample.step)
        self.means.append(self.total / self.count)
        self.rates.append(self.rate)
        self.total, self.count = 0.0, 0
        found = self._judge(sample)
        if len(self.means) >= MOST_BLOCKS:
            self._halve()
        return found

    def _halve(self) -> None:
        self.ends = self.ends[1::2]
        self.rates = self.rates[1::2]
        self.means = [0.5 * (self.means[i] + self.means[i + 1]) for i in range(0, len(self.means) - 1, 2)]
        self.block_samples *= 2

    def _judge(self, sample: Sample) -> Finding | None:
        blocks = len(self.means)
        samples = blocks * self.block_samples
        if blocks < FEWEST_BLOCKS or samples < self.settings.min_samples:
            return None
        third = blocks // 3
        if self.active:
            self._follow(third)
            return None
        if not self._rate_allows(third):
            return None
        before, lately = line(self.means[-2 * third : -third]), line(self.means[-third:])
        fell = before.fall - SURE * before.error > self.settings.min_fall * abs(self.means[-third])
        limit = self.settings.fall_share * before.fall
        if not (fell and lately.fall + SURE * lately.error < limit and lately.fall > -limit):
            return None
        return self._tell(sample, third, before, lately)

    def _rate_allows(self, third: int) -> bool:
        """Whether the learning rate, where it is known, leaves the loss room to fall."""
        if self.highest_rate == 0.0:
            return True
        lately, before = self.rates[-third:], self.rates[-2 * third : -third]
        if self._ending():
            return False
        return max(lately) <= RATE_RAISED * max(before)

    def _ending(self) -> bool:
        return self.rates[-1] < self.settings.final_rate * self.highest_rate

    def _follow(self, third: int) -> None:
        """It is over when the loss has fallen below its floor, or the run is ending."""
        recent = self.means[-max(2, third // 4) :]
        if max(recent) < self.floor or (self.highest_rate > 0.0 and self._ending()):
            self._start_anew()

    def _tell(self, sample: Sample, third: int, before: Line, lately: Line) -> Finding:
        self.told = SEVERITY_RANK["info"]
        level = median(self.means[-third:])
        self.floor = level - max(SURE * lately.error, self.settings.fall_share * before.fall)
        return Finding(
            kind=self.kind,
            metric=wire.LOSS,
            severity="info",
            step=sample.step,
            time=sample.time,
            onset_step=self.ends[-third - 1],
            value=level,
            expected=level - 0.5 * before.fall,
            score=before.fall / before.error if before.error > 0.0 else 0.0,
            evidence={
                "samples": third * self.block_samples,
                "fall": lately.fall,
                "fall_before": before.fall,
            },
        )

    def _start_anew(self) -> None:
        self.floor = inf
        self.told = -1

    def rewind(self, step: int) -> None:
        """The run goes on from `step`: what came after it did not happen."""
        while self.ends and self.ends[-1] > step:
            del self.ends[-1], self.means[-1], self.rates[-1]
        self.total, self.count = 0.0, 0
        self._start_anew()


def line(means: list[float]) -> Line:
    """Fit a line that outliers do not bend: the median of the slopes of all pairs (Theil 1950, Sen 1968).

    >>> line([5.0, 4.0, 3.0, 90.0, 1.0, 0.0])
    Line(fall=5.0, error=0.0)
    """
    count = len(means)
    slope = median([(means[j] - means[i]) / (j - i) for j in range(count) for i in range(j)])
    left = [mean - slope * index for index, mean in enumerate(means)]
    middle = median(left)
    spread = GAUSS_MAD * median([abs(each - middle) for each in left])
    jumps = GAUSS_MAD * median([abs(after - before) for before, after in pairwise(left)]) / sqrt(2.0)
    error = spread * _slowness(spread, jumps) * sqrt(12.0 / (count**3 - count))
    return Line(-slope * (count - 1), error * (count - 1))


def _slowness(spread: float, jumps: float) -> float:
    """How many times less is known of a slope where neighbours are alike, as in AR(1) noise."""
    if jumps >= spread:
        return 1.0
    alike = min(1.0 - (jumps / spread) ** 2, MOST_ALIKE)
    return sqrt((1.0 + alike) / (1.0 - alike))
