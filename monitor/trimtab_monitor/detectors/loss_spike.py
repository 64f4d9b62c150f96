"""The loss jumps, or climbs within a few steps, far above its usual noise."""

from __future__ import annotations

from dataclasses import dataclass, field
from math import isfinite
from typing import ClassVar

from trimtab import wire
from trimtab_monitor.detectors.excursion import Excursion, Reading
from trimtab_monitor.types import Finding, Sample, Severity


@dataclass(slots=True)
class LossSpike:
    """One-sided: a falling loss never alarms. A non-finite loss is `non_finite`'s business, and is skipped.

    One outlier that comes back is `info`, a mark on the chart; a rise that lasts is a `warning`; a large one
    that lasts, or a huge one at its first sample, is `critical`.

    >>> import random
    >>> noise = random.Random(1)
    >>> losses = [2.5 + noise.gauss(0, 0.05) for _ in range(100)] + [5.1, 5.0, 2.5]
    >>> detector = LossSpike()
    >>> for step, loss in enumerate(losses, start=1):
    ...     found = detector.update(Sample(step, float(step), {"loss": loss}))
    ...     if found:
    ...         print(found.step, found.onset_step, found.severity, found.value, round(found.expected, 1))
    101 101 critical 5.1 2.5
    >>> detector.active
    False
    """

    kind: ClassVar[str] = "loss_spike"
    excursion: Excursion = field(default_factory=Excursion)

    @property
    def active(self) -> bool:
        """Whether the loss is still up."""
        return self.excursion.active

    def update(self, sample: Sample) -> Finding | None:
        """Take the next sample; return a finding when the spike begins or gets more severe."""
        loss = sample.values.get(wire.LOSS)
        if loss is None or not isfinite(loss):
            return None
        reading = self.excursion.update(sample.step, loss)
        if reading is None:
            return None
        return self.excursion.tell(self.kind, wire.LOSS, self._severity(reading), sample, reading)

    def _severity(self, reading: Reading) -> Severity:
        if reading.grade == "mark":
            return "info"
        return "critical" if self.excursion.lasts(reading) else "warning"

    def rewind(self, step: int) -> None:
        """The run goes on from `step`."""
        self.excursion.rewind(step)
