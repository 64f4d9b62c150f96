"""The gradient norm falls to a small part of what it was, and stays there, though the loss does not."""

from __future__ import annotations

from dataclasses import dataclass, field
from math import exp, inf, isfinite, log, sqrt
from typing import Annotated, ClassVar, Final

from pydantic import ConfigDict, Field
from pydantic.dataclasses import dataclass as settings_dataclass

from trimtab import wire
from trimtab_monitor.types import SEVERITY_RANK, Finding, Sample

WARM_UP_SAMPLES: Final = 30
MEMORY_SAMPLES: Final = 256
"""What is usual is a running mean over about so many samples: slow convergence takes it along."""

LOSS_EVERY: Final = 4
"""Of the loss each so many samples will do."""

LEAST_FALL: Final = log(2.0)
SQRT_HALF: Final = sqrt(0.5)
YOUNG: Final = 4.0
"""A young run's mean runs over the last 1 / YOUNG of its samples, past its first steep fall."""

NOISE_LIMIT: Final = 8.0
"""A fall within so many mean deviations is the usual noise."""

LEARNED_LIMIT: Final = 1.0
"""A sample moves what is usual by at most this logarithm, or three mean deviations: no spike may."""

LONGER: Final = 3
"""A fall counts once it lasts so many times longer than any that was over by itself."""


@settings_dataclass(frozen=True, config=ConfigDict(extra="forbid"))
class VanishingGradientsSettings:
    """When a gradient norm far below its usual level is told. What the loss fell by is taken off first."""

    min_fall: Annotated[
        float, Field(ge=2, description="The norm must fall to one part in so many of its usual level.")
    ] = 20.0
    lasting_samples: Annotated[int, Field(ge=2, description="It must stay there for so many samples.")] = 30
    accept_samples: Annotated[
        int, Field(ge=64, description="A level held for so many samples is the new normal.")
    ] = 2048


@dataclass(slots=True)
class Usual:
    """The running mean of a logarithm, and its noise: the mean deviation, from one sample to the next."""

    level: float = 0.0
    spread: float = 0.0
    last: float = 0.0
    samples: int = 0

    def learn(self, value: float, memory: int) -> None:
        """Take in a value, of which `memory` make up the mean; one far off is cut."""
        self.samples = samples = self.samples + 1
        weight = YOUNG / (samples + YOUNG - 1.0) if samples < YOUNG * memory else 1.0 / memory
        off, jump = value - self.level, abs(value - self.last)
        self.last = value
        if samples > WARM_UP_SAMPLES and not (jump < LEARNED_LIMIT and -LEARNED_LIMIT < off < LEARNED_LIMIT):
            limit = max(LEARNED_LIMIT, 3.0 * self.spread)
            off, jump = min(max(off, -limit), limit), min(jump, limit)
        self.level += weight * off
        if samples > 1:
            self.spread += weight * (SQRT_HALF * jump - self.spread)


@dataclass(slots=True)
class VanishingGradients:
    """A gradient that shrinks as the loss does is what converging means; one that vanishes alone is a fault.

    >>> import random
    >>> noise = random.Random(1)
    >>> detector = VanishingGradients()
    >>> for step in range(1, 300):
    ...     norm = (0.4 if step < 200 else 1e-4) * noise.lognormvariate(0, 0.3)
    ...     found = detector.update(Sample(step, float(step), {"loss": 2.3, "grad_norm": norm}))
    ...     if found:
    ...         print(found.step, found.onset_step, found.severity, round(found.expected, 1))
    229 200 warning 0.4
    """

    kind: ClassVar[str] = "vanishing_gradients"
    settings: VanishingGradientsSettings = field(default_factory=VanishingGradientsSettings)
    norm: Usual = field(default_factory=Usual)
    loss: Usual = field(default_factory=Usual)
    fallen: int = 0
    longest: int = 0
    onset_step: int = 0
    told: int = -1

    @property
    def active(self) -> bool:
        """Whether it was told, and the norm has not come back."""
        return self.told >= 0

    def update(self, sample: Sample) -> Finding | None:
        """Take the next sample; return a finding when the gradient has vanished for long enough."""
        norm = sample.values.get(wire.GRAD_NORM)
        if norm is None or not isfinite(norm) or norm < 0.0:
            return None
        usual = self.norm
        value = log(norm) if norm > 0.0 else -inf
        fall = usual.level - value
        if fall >= LEAST_FALL and usual.samples >= WARM_UP_SAMPLES:
            loss_fall = self._loss_fall(sample)
            limit = max(log(self.settings.min_fall), NOISE_LIMIT * usual.spread)
            if fall - max(0.0, loss_fall) >= limit:
                return self._vanished(sample, norm, fall)
        if self.fallen:
            self._come_back(fall)
        if norm > 0.0 and not self.active:
            usual.learn(value, MEMORY_SAMPLES)
            if usual.samples % LOSS_EVERY == 0:
                self._learn_loss(sample)
        return None

    def _loss_fall(self, sample: Sample) -> float:
        """By how much the logarithm of the loss is below what was usual; 0 where that means nothing."""
        loss = sample.values.get(wire.LOSS)
        if loss is None or self.loss.samples == 0 or not isfinite(loss) or loss < 0.0:
            return 0.0
        return self.loss.level - log(loss) if loss > 0.0 else inf

    def _learn_loss(self, sample: Sample) -> None:
        loss = sample.values.get(wire.LOSS)
        if loss is not None and isfinite(loss) and loss > 0.0:
            self.loss.learn(log(loss), MEMORY_SAMPLES // LOSS_EVERY)

    def _vanished(self, sample: Sample, norm: float, fall: float) -> Finding | None:
        if self.fallen == 0:
            self.onset_step = sample.step
        self.fallen += 1
        told = None
        if self.told < 0 and self.fallen >= max(self.settings.lasting_samples, LONGER * self.longest):
            self.told = SEVERITY_RANK["warning"]
            told = self._finding(sample, norm, fall)
        if self.fallen >= self.settings.accept_samples and norm > 0.0:
            self._accept()
        return told

    def _finding(self, sample: Sample, norm: float, fall: float) -> Finding:
        return Finding(
            kind=self.kind,
            metric=wire.GRAD_NORM,
            severity="warning",
            step=sample.step,
            time=sample.time,
            onset_step=self.onset_step,
            value=norm,
            expected=exp(self.norm.level),
            score=min(fall, 700.0) / max(self.norm.spread, 0.01),
            evidence={"samples": self.fallen},
        )

    def _come_back(self, fall: float) -> None:
        """The norm is not so low any more; a fall that was told is over once the norm is half way back."""
        if self.active:
            if fall < 0.5 * log(self.settings.min_fall):
                self._start_anew()
        else:
            self.longest = max(self.longest, self.fallen)
            self._start_anew()

    def _accept(self) -> None:
        """What has lasted for so long is learned anew."""
        self.norm, self.loss = Usual(), Usual()
        self._start_anew()

    def _start_anew(self) -> None:
        self.fallen = 0
        self.told = -1

    def rewind(self, step: int) -> None:
        """The run goes on from `step`."""
        del step
        self._start_anew()
