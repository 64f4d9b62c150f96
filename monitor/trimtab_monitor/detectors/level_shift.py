"""The loss has settled at a higher level: no spike that comes back, and no drift that goes on."""

from __future__ import annotations

from dataclasses import dataclass, field
from math import log
from typing import Annotated, ClassVar, Final

from pydantic import ConfigDict, Field
from pydantic.dataclasses import dataclass as settings_dataclass

from trimtab import wire
from trimtab_monitor.detectors.lasting_rise import LastingRiseSettings, Rise
from trimtab_monitor.types import SEVERITY_RANK, Finding, Sample, Severity

SETTLED_SAMPLES: Final = 10
"""A level has been held for so many samples at least."""


@settings_dataclass(frozen=True, config=ConfigDict(extra="forbid"))
class LevelShiftSettings:
    """When a lasting rise of the loss is a new level that is told, and when it is critical."""

    min_rise: Annotated[
        float,
        Field(gt=0, description="A smaller shift is taken as benign, as a fraction of the usual loss."),
    ] = 0.08
    min_rise_sigma: Annotated[float, Field(gt=0, description="A smaller shift is never told, in sigma.")] = (
        2.5
    )
    critical_rise: Annotated[
        float, Field(gt=0, description="Shift from which it is critical, as a fraction of the usual loss.")
    ] = 0.25


@dataclass(slots=True)
class LevelShift:
    """Told where no single sample stands out, or a spike did not come back.

    >>> import random
    >>> from trimtab_monitor.detectors.lasting_rise import LastingRise
    >>> noise = random.Random(1)
    >>> losses = [2.0 + noise.gauss(0, 0.06) + (0.22 if i >= 200 else 0.0) for i in range(260)]
    >>> lasting, detector = LastingRise(), LevelShift()
    >>> for step, loss in enumerate(losses, start=1):
    ...     sample = Sample(step, float(step), {"loss": loss})
    ...     rise = lasting.update(step, loss)
    ...     found = rise and detector.update(sample, rise, lasting.settings)
    ...     if found:
    ...         print(found.step, found.onset_step, found.severity, round(found.expected, 1))
    210 201 warning 2.0
    """

    kind: ClassVar[str] = "level_shift"
    settings: LevelShiftSettings = field(default_factory=LevelShiftSettings)
    told: int = -1

    @property
    def active(self) -> bool:
        """Whether the shift was told, and the loss has not come back."""
        return self.told >= 0

    def update(self, sample: Sample, rise: Rise | None, lasting: LastingRiseSettings) -> Finding | None:
        """Take a sample and the rise in it; return a finding when a new level is found, or is worse."""
        if rise is None:
            self.told = -1
            return None
        if not self._is_a_level(rise, lasting):
            return None
        critical = rise.step.rise >= log(1.0 + self.settings.critical_rise)
        severity: Severity = "critical" if critical else "warning"
        if SEVERITY_RANK[severity] <= self.told:
            return None
        self.told = SEVERITY_RANK[severity]
        return Finding(
            kind=self.kind,
            metric=wire.LOSS,
            severity=severity,
            step=sample.step,
            time=sample.time,
            onset_step=rise.step.onset_step,
            value=sample.values[wire.LOSS],
            expected=rise.expected,
            score=rise.step.height_sigma,
            evidence={"samples": rise.step.samples, "gain": rise.step.gain},
        )

    def _is_a_level(self, rise: Rise, lasting: LastingRiseSettings) -> bool:
        settings, step = self.settings, rise.step
        least = max(log(1.0 + settings.min_rise), rise.least_rise)
        high = step.height_sigma >= settings.min_rise_sigma and step.rise >= least
        settled = step.samples >= SETTLED_SAMPLES and step.gain >= rise.ramp.gain
        return high and settled and step.gain >= lasting.least_gain

    def rewind(self, step: int) -> None:
        """The run goes on from `step`."""
        del step
        self.told = -1
