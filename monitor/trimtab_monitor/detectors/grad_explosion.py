"""The gradient norm climbs by factors. It leads the loss: in BLOOM-176B's one spike by four iterations."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from math import exp, isfinite, log
from typing import Annotated, ClassVar, Final

from pydantic import ConfigDict, Field
from pydantic.dataclasses import dataclass as settings_dataclass

from trimtab import wire
from trimtab_monitor.detectors.best_level import BestLevel
from trimtab_monitor.detectors.excursion import Excursion, ExcursionSettings, Reading
from trimtab_monitor.detectors.series import NOISE_FLOOR
from trimtab_monitor.detectors.young import FEWEST_SAMPLES
from trimtab_monitor.types import SEVERITY_RANK, Finding, Sample, Severity

FAR: Final = 300.0
"""A norm that is by and by so many times its lowest has exploded, however slowly."""


@settings_dataclass(frozen=True, config=ConfigDict(extra="forbid"))
class GradExplosionSettings(ExcursionSettings):
    """When a rise of the gradient norm is told, and when it is critical."""

    first_judged: Annotated[
        int,
        Field(
            ge=FEWEST_SAMPLES,
            description="Samples after which what is plain is told, though the usual noise is not known yet.",
        ),
    ] = 12
    min_rise: Annotated[
        float, Field(gt=0, description="A smaller rise is never told, as a fraction of the usual norm.")
    ] = 1.5
    sustained_surprise: Annotated[
        float,
        Field(gt=0, description="Summed surprise of consecutive samples from which a rise is sustained."),
    ] = 24.0
    critical_rise: Annotated[
        float, Field(gt=0, description="Rise from which it is critical, as a fraction of the usual norm.")
    ] = 9.0

    def of_excursion(self) -> ExcursionSettings:
        """The same as what an excursion keeps: its state is read back as that."""
        return ExcursionSettings(**asdict(self))


@dataclass(slots=True)
class GradExplosion:
    """One step with a large gradient is `info`: clipping takes the harm out of it. Two are a `warning`.

    The end of a real log (BLOOM-176B, iterations before its spike), after a quiet time:

    >>> import random
    >>> noise = random.Random(1)
    >>> norms = [0.242 * noise.lognormvariate(0, 0.1) for _ in range(60)] + [0.947, 2.39, 15.9, 145.0, 960.0]
    >>> detector = GradExplosion()
    >>> for step, norm in enumerate(norms, start=1):
    ...     found = detector.update(Sample(step, float(step), {"grad_norm": norm}))
    ...     if found:
    ...         print(found.step, found.onset_step, found.severity, found.value)
    61 61 info 0.947
    62 61 warning 2.39
    63 61 critical 15.9
    """

    kind: ClassVar[str] = "grad_explosion"
    excursion: Excursion = field(default_factory=lambda: Excursion(GradExplosionSettings().of_excursion()))
    best: BestLevel = field(default_factory=BestLevel)
    far: int = -1

    @property
    def active(self) -> bool:
        """Whether the norm is still up."""
        return self.excursion.active or self.far >= 0

    def update(self, sample: Sample) -> Finding | None:
        """Take the next sample; return a finding when the explosion begins or gets more severe."""
        norm = sample.values.get(wire.GRAD_NORM)
        if norm is None or not isfinite(norm) or norm <= 0.0:
            return None
        above = self.best.note(sample.step, log(norm))
        reading = self.excursion.update(sample.step, norm)
        if above >= log(FAR):
            found = self._far(sample, above)
            if found is not None:
                return found
        elif above < log(FAR) / 2:
            self.far = -1
        if reading is None:
            return None
        return self.excursion.tell(self.kind, wire.GRAD_NORM, self._severity(reading), sample, reading)

    def _far(self, sample: Sample, above: float) -> Finding | None:
        """The norm has been climbing for so long that whatever adapts to it has gone along."""
        severity: Severity = "critical" if above >= 2.0 * log(FAR) else "warning"
        if SEVERITY_RANK[severity] <= self.far:
            return None
        self.far = SEVERITY_RANK[severity]
        best = self.best
        return Finding(
            kind=self.kind,
            metric=wire.GRAD_NORM,
            severity=severity,
            step=sample.step,
            time=sample.time,
            onset_step=best.left_step,
            value=sample.values[wire.GRAD_NORM],
            expected=exp(best.best),
            score=above / max(best.noise, NOISE_FLOOR),
            evidence={"above_best": exp(above)},
        )

    def _severity(self, reading: Reading) -> Severity:
        still_up = reading.rise >= log(1.0 + self.excursion.settings.min_rise)
        if reading.samples == 1 or reading.grade == "mark" or not still_up:
            return "info"
        lasted = reading.samples >= self.excursion.settings.critical_samples
        return "critical" if lasted and self.excursion.lasts(reading) else "warning"

    def rewind(self, step: int) -> None:
        """The run goes on from `step`."""
        self.excursion.rewind(step)
        self.best, self.far = BestLevel(), -1
