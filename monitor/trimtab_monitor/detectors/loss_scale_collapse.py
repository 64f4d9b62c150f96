"""The loss scale halves again and again: the gradients overflow at every scale that the scaler tries."""

from __future__ import annotations

from dataclasses import dataclass, field
from math import isfinite, log2
from typing import Annotated, ClassVar, Final

from pydantic import ConfigDict, Field
from pydantic.dataclasses import dataclass as settings_dataclass

from trimtab import wire
from trimtab_monitor.types import SEVERITY_RANK, Finding, Sample, Severity

SMALLEST_SCALE: Final = 2.0**-149
"""The least number above zero in single precision: what a scale of zero is taken for."""

DOUBLINGS_BACK: Final = 2
"""A scaler that has doubled its scale so often since a collapse has recovered."""


@settings_dataclass(frozen=True, config=ConfigDict(extra="forbid"))
class LossScaleCollapseSettings:
    """When a falling loss scale is told. A dynamic scaler halves it at each overflow."""

    halvings: Annotated[
        int, Field(ge=2, description="Halvings with no doubling between them that are a collapse.")
    ] = 5
    within_samples: Annotated[
        int, Field(ge=2, description="They are a collapse if they come within so many samples.")
    ] = 100
    startup_samples: Annotated[
        int,
        Field(ge=0, description="A new scaler may halve until its scale first held for so many samples."),
    ] = 30
    lowest_scale: Annotated[
        float, Field(gt=0, description="A scale that fell below it is told at once; 1 is no scaling at all.")
    ] = 1.0
    settled_samples: Annotated[
        int, Field(ge=1, description="A collapse is over once the scale has held for so many samples.")
    ] = 200


@dataclass(slots=True)
class LossScaleCollapse:
    """Counts halvings since the last doubling. A halving each 2,000 steps is how such a scaler works.

    A collapse is a `warning`, and so is a scale that fell below the lowest; both together are `critical`.

    >>> scales = [65536.0] * 60 + [65536.0 / 2**i for i in range(1, 18)] + [0.5] * 10
    >>> detector = LossScaleCollapse()
    >>> for step, scale in enumerate(scales, start=1):
    ...     found = detector.update(Sample(step, float(step), {"loss_scale": scale}))
    ...     if found:
    ...         print(found.step, found.onset_step, found.severity, found.value, found.expected)
    65 61 warning 2048.0 65536.0
    77 61 critical 0.5 65536.0
    """

    kind: ClassVar[str] = "loss_scale_collapse"
    settings: LossScaleCollapseSettings = field(default_factory=LossScaleCollapseSettings)
    scale: float = 0.0
    last_step: int = 0
    held_samples: int = 0
    started: bool = False
    halvings: float = 0.0
    samples: int = 0
    onset_step: int = 0
    onset_scale: float = 0.0
    doublings: float = 0.0
    told: int = -1

    @property
    def active(self) -> bool:
        """Whether a collapse was told, and the scale has neither risen nor settled since."""
        return self.told >= 0

    def update(self, sample: Sample) -> Finding | None:
        """Take the next sample; return a finding when the scale collapses, or gets below the lowest."""
        scale = sample.values.get(wire.LOSS_SCALE)
        if scale is None or not isfinite(scale) or scale < 0.0:
            return None
        scale = max(scale, SMALLEST_SCALE)
        before, self.scale = self.scale, scale
        steps, self.last_step = max(1, sample.step - self.last_step), sample.step
        if before == 0.0:
            return None
        self.samples += 1
        if scale == before:
            self._held()
        elif scale > before:
            self._rose(log2(scale / before))
        else:
            return self._fell(sample, before, steps)
        return None

    def _held(self) -> None:
        self.held_samples += 1
        if self.held_samples >= self.settings.startup_samples:
            self.started = True
        if self.held_samples >= self.settings.settled_samples:
            self._start_anew()

    def _rose(self, doublings: float) -> None:
        self.started = True
        self.held_samples = 0
        self.doublings += doublings
        if not self.active or self.doublings >= DOUBLINGS_BACK:
            self._start_anew()

    def _fell(self, sample: Sample, before: float, steps: int) -> Finding | None:
        """Count it; a scaler halves once a step, so what fell further was set by hand."""
        if self.halvings == 0.0 or (not self.active and self.samples >= self.settings.within_samples):
            self._start_anew()
            self.onset_step, self.onset_scale = sample.step, before
        self.held_samples, self.doublings = 0, 0.0
        self.halvings += min(log2(before / self.scale), float(steps))
        severity = self._severity()
        if severity is None or SEVERITY_RANK[severity] <= self.told:
            return None
        fell = {"halvings": self.halvings, "samples": self.samples + 1}
        self.told = SEVERITY_RANK[severity]
        return Finding(
            kind=self.kind,
            metric=wire.LOSS_SCALE,
            severity=severity,
            step=sample.step,
            time=sample.time,
            onset_step=min(self.onset_step, sample.step),
            value=self.scale,
            expected=self.onset_scale,
            score=self.halvings,
            evidence=fell if self.halvings >= self.settings.halvings else {},
        )

    def _severity(self) -> Severity | None:
        too_low = self.scale < self.settings.lowest_scale
        collapsed = self.halvings >= self.settings.halvings and (self.started or too_low)
        if too_low and collapsed:
            return "critical"
        return "warning" if too_low or collapsed else None

    def _start_anew(self) -> None:
        self.halvings = self.doublings = 0.0
        self.samples = 0
        self.told = -1

    def rewind(self, step: int) -> None:
        """The run goes on from `step`, with the scale of then."""
        self.last_step = step
        self.scale = 0.0
        self.held_samples = 0
        self._start_anew()
