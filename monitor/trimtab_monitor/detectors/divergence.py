"""The loss creeps upwards: too slowly for any one step to stand out, for too long to be noise."""

from __future__ import annotations

from dataclasses import dataclass, field
from math import log
from typing import Annotated, ClassVar

from pydantic import ConfigDict, Field
from pydantic.dataclasses import dataclass as settings_dataclass

from trimtab import wire
from trimtab_monitor.detectors.lasting_rise import LastingRiseSettings, Rise
from trimtab_monitor.types import SEVERITY_RANK, Finding, Sample, Severity


@settings_dataclass(frozen=True, config=ConfigDict(extra="forbid"))
class DivergenceSettings:
    """When a lasting rise of the loss is a drift, and when it is critical."""

    min_rise: Annotated[
        float, Field(gt=0, description="A smaller rise is never told, as a fraction of the usual loss.")
    ] = 0.02
    min_rise_sigma: Annotated[float, Field(gt=0, description="A smaller rise is never told, in sigma.")] = 2.0
    ramp_advantage: Annotated[
        float,
        Field(
            ge=0,
            description="How much likelier a ramp must be than a step to a new level: log of that ratio.",
        ),
    ] = 0.5
    critical_rise: Annotated[
        float, Field(gt=0, description="Rise from which it is critical, as a fraction of the usual loss.")
    ] = 0.25


@dataclass(slots=True)
class Divergence:
    """A drift climbs still; a step to a benign new level does not, and is left to `level_shift`.

    A loss that is far above its best has diverged too, however slowly it came there.

    >>> import random
    >>> from trimtab_monitor.detectors.lasting_rise import LastingRise
    >>> noise = random.Random(1)
    >>> losses = [2.0 + noise.gauss(0, 0.03) + max(0, i - 200) * 0.003 for i in range(260)]
    >>> lasting, detector = LastingRise(), Divergence()
    >>> for step, loss in enumerate(losses, start=1):
    ...     sample = Sample(step, float(step), {"loss": loss})
    ...     rise = lasting.update(step, loss)
    ...     found = rise and detector.update(sample, rise, lasting.settings)
    ...     if found:
    ...         print(found.step, found.onset_step, found.severity)
    231 189 warning
    """

    kind: ClassVar[str] = "divergence"
    settings: DivergenceSettings = field(default_factory=DivergenceSettings)
    told: int = -1

    @property
    def active(self) -> bool:
        """Whether the drift was told, and the loss has not come back."""
        return self.told >= 0

    def update(self, sample: Sample, rise: Rise | None, lasting: LastingRiseSettings) -> Finding | None:
        """Take a sample and the rise in it; return a finding when the drift begins or gets more severe."""
        if rise is None:
            self.told = -1
            return None
        if self._is_a_drift(rise, lasting):
            lift, far = rise.ramp, 1.0 + self.settings.critical_rise
        elif rise.from_best is not None:
            lift, far = rise.from_best, 1.0 + 2.0 * lasting.above_best
        else:
            return None
        severity: Severity = "critical" if lift.rise >= log(far) else "warning"
        if SEVERITY_RANK[severity] <= self.told:
            return None
        self.told = SEVERITY_RANK[severity]
        return Finding(
            kind=self.kind,
            metric=wire.LOSS,
            severity=severity,
            step=sample.step,
            time=sample.time,
            onset_step=lift.onset_step,
            value=sample.values[wire.LOSS],
            expected=rise.expected if lift is rise.ramp else rise.best,
            score=lift.height_sigma,
            evidence={"samples": lift.samples, "gain": lift.gain},
        )

    def _is_a_drift(self, rise: Rise, lasting: LastingRiseSettings) -> bool:
        settings, ramp = self.settings, rise.ramp
        climbs = ramp.gain >= rise.step.gain + 2.0 * settings.ramp_advantage
        least = max(log(1.0 + settings.min_rise), rise.least_rise)
        high = ramp.height_sigma >= settings.min_rise_sigma and ramp.rise >= least
        return climbs and high and ramp.gain >= lasting.least_gain

    def rewind(self, step: int) -> None:
        """The run goes on from `step`."""
        del step
        self.told = -1
