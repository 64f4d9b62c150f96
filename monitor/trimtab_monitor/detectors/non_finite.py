"""A loss or gradient norm that is not a number, or infinite: on any rank, at once."""

from __future__ import annotations

from dataclasses import dataclass, field
from math import inf, isfinite, nan
from typing import Annotated, ClassVar, Final

from pydantic import ConfigDict, Field
from pydantic.dataclasses import dataclass as settings_dataclass

from trimtab import wire
from trimtab_monitor.types import SEVERITY_RANK, Finding, Sample, Severity

WATCHED: Final = (wire.LOSS, wire.GRAD_NORM)


@settings_dataclass(frozen=True, config=ConfigDict(extra="forbid"))
class NonFiniteSettings:
    """How long a job with a loss scaler may overflow. The scaler skips such steps, and lowers the scale."""

    scaler_warning_samples: Annotated[
        int, Field(ge=1, description="Consecutive overflowing gradients under a loss scaler that warn.")
    ] = 5
    scaler_critical_samples: Annotated[
        int,
        Field(ge=1, description="Consecutive overflowing gradients under a loss scaler that are critical."),
    ] = 20


@dataclass(slots=True)
class NonFinite:
    """Critical at its first sample, needs no warm-up, and is active while any rank is still bad.

    Only where the job reports `loss_scale` are gradients expected to overflow now and then.

    >>> detector = NonFinite()
    >>> for step, loss in enumerate([2.0, float("nan"), float("nan"), 2.0], start=1):
    ...     found = detector.update(Sample(step, float(step), {"loss": loss}, rank=3))
    ...     print(step, found.severity if found else None, detector.active)
    1 None False
    2 critical True
    3 None True
    4 None False
    """

    kind: ClassVar[str] = "non_finite"
    settings: NonFiniteSettings = field(default_factory=NonFiniteSettings)
    bad_samples: dict[int, int] = field(default_factory=dict)
    onset_steps: dict[int, int] = field(default_factory=dict)
    told: dict[int, int] = field(default_factory=dict)
    last_finite: dict[str, float] = field(default_factory=dict)

    @property
    def active(self) -> bool:
        """Whether any rank's last sample was bad."""
        return bool(self.bad_samples)

    def update(self, sample: Sample) -> Finding | None:
        """Take the next sample of any rank; return a finding when the rank turns bad, or gets worse."""
        values = sample.values
        metric = None
        for name in WATCHED:
            value = values.get(name)
            if value is None:
                continue
            if isfinite(value):
                self.last_finite[name] = value
            elif metric is None:
                metric = name
        if metric is None:
            if self.bad_samples:
                self._recover(sample)
            return None
        return self._bad(sample, metric)

    def _recover(self, sample: Sample) -> None:
        if not any(name in sample.values for name in WATCHED):
            return
        for book in (self.bad_samples, self.onset_steps, self.told):
            book.pop(sample.rank, None)

    def _bad(self, sample: Sample, metric: str) -> Finding | None:
        rank = sample.rank
        self.bad_samples[rank] = count = self.bad_samples.get(rank, 0) + 1
        onset = self.onset_steps.setdefault(rank, sample.step)
        severity = self._severity(sample, metric, count)
        if SEVERITY_RANK[severity] <= self.told.get(rank, -1):
            return None
        self.told[rank] = SEVERITY_RANK[severity]
        return Finding(
            kind=self.kind,
            metric=metric,
            severity=severity,
            step=sample.step,
            time=sample.time,
            onset_step=onset,
            value=sample.values[metric],
            expected=self.last_finite.get(metric, nan),
            score=inf,
            evidence={"samples": count, "rank": rank},
        )

    def _severity(self, sample: Sample, metric: str, count: int) -> Severity:
        scaled = metric == wire.GRAD_NORM and wire.LOSS_SCALE in sample.values
        if not scaled or count >= self.settings.scaler_critical_samples:
            return "critical"
        return "warning" if count >= self.settings.scaler_warning_samples else "info"

    def rewind(self, step: int) -> None:
        """The run goes on from `step`, on every rank."""
        del step
        self.bad_samples.clear()
        self.onset_steps.clear()
        self.told.clear()
