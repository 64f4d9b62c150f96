"""A loss, gradient norm or evaluation that is not a number, or infinite: on any rank, at once."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from math import inf, isfinite, isnan, nan
from typing import Annotated, ClassVar, Final

from pydantic import ConfigDict, Field
from pydantic.dataclasses import dataclass as settings_dataclass

from trimtab import wire
from trimtab_monitor.detectors.layer_norms import PREFIX, has_layers
from trimtab_monitor.types import SEVERITY_RANK, Finding, Sample, Severity

WATCHED: Final = (wire.LOSS, wire.GRAD_NORM)
SILENT_STEPS: Final = 100
"""A bad rank of which nothing came while others sent so many steps is gone: it will not recover."""


@settings_dataclass(frozen=True, config=ConfigDict(extra="forbid"))
class NonFiniteSettings:
    """How long steps that reach no weight may go on: skipped by a loss scaler, or masked in the job."""

    scaler_warning_samples: Annotated[
        int,
        Field(
            ge=1,
            description="Overflows under a loss scaler, or masked steps, in a row that warn.",
        ),
    ] = 5
    scaler_critical_samples: Annotated[
        int,
        Field(
            ge=1,
            description="Overflows under a loss scaler, or masked steps, in a row that are critical.",
        ),
    ] = 20


@dataclass(slots=True)
class Trouble:
    """One metric of one rank that is not finite: for so many of its values in a row, and since which step.

    `masked`: the optimizer left out the step of the last of them.
    """

    samples: int = 0
    onset_step: int = 0
    masked: bool = False


@dataclass(slots=True)
class NonFinite:
    """Needs no warm-up: critical at its first sample, active until each bad metric of a rank is finite again.

    Only where the job reports `loss_scale`, now and then at least, are gradients expected to overflow. A step
    that the job has masked (`step_masked`) reached no weight: it counts as an overflow, its loss too. An
    evaluation only warns, and NaN in the run's first sample stands for none; layers' norms count where the
    whole norm is not sent. `bad` holds the troubles of each rank, all layers of it as one, `heard` when it
    was last heard of, in steps that came since any was bad.

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
    bad: dict[int, dict[str, Trouble]] = field(default_factory=dict)
    told: dict[int, int] = field(default_factory=dict)
    heard: dict[int, int] = field(default_factory=dict)
    newest_step: int = -1
    steps: int = 0
    last_finite: dict[str, float] = field(default_factory=dict)
    scaled: bool = False
    blank_evaluations: bool = False

    @property
    def active(self) -> bool:
        """Whether any rank is still bad."""
        return bool(self.bad)

    def update(self, sample: Sample) -> Finding | None:
        """Take the next sample of any rank; return a finding when the rank turns bad, or gets worse."""
        values = sample.values
        loss = values.get(wire.LOSS)
        now = self._beside_loss(values) if loss is None or len(values) > 1 else {}
        if loss is not None:
            if isfinite(loss):
                self.last_finite[wire.LOSS] = loss
            else:
                now = {wire.LOSS: wire.LOSS} | now
        if self.bad:
            self._follow(sample, now)
        return self._found(sample, now) if now else None

    def _beside_loss(self, values: Mapping[str, float]) -> dict[str, str]:
        """What is not finite but the loss: the name of its trouble, and the metric, the gravest first."""
        now: dict[str, str] = {}
        self.scaled = self.scaled or wire.LOSS_SCALE in values
        norm, evaluation = values.get(wire.GRAD_NORM), values.get(wire.EVAL_LOSS)
        if evaluation is not None and isnan(evaluation) and not self.last_finite:
            self.blank_evaluations = True
        if norm is None:
            if wire.GRAD_NORM not in self.last_finite and (layer := _bad_layer(values)) is not None:
                now[PREFIX] = layer
        elif isfinite(norm):
            self.last_finite[wire.GRAD_NORM] = norm
        else:
            now[wire.GRAD_NORM] = wire.GRAD_NORM
        if evaluation is not None:
            if isfinite(evaluation):
                self.last_finite[wire.EVAL_LOSS] = evaluation
            elif not (self.blank_evaluations and isnan(evaluation)):
                now[wire.EVAL_LOSS] = wire.EVAL_LOSS
        return now

    def _follow(self, sample: Sample, now: Mapping[str, str]) -> None:
        """Drop what is finite again, and ranks that are gone."""
        if sample.step > self.newest_step:
            self.newest_step = sample.step
            self.steps += 1
            for rank in [rank for rank in self.bad if self.steps - self.heard[rank] > SILENT_STEPS]:
                if rank != sample.rank:
                    self._recovered(rank)
        troubles = self.bad.get(sample.rank)
        if troubles is None:
            return
        self.heard[sample.rank] = self.steps
        over = [name for name in troubles if name not in now and _was_sent(name, sample.values)]
        for name in over:
            del troubles[name]
        if not troubles:
            self._recovered(sample.rank)
        elif over:
            self.told[sample.rank] = max(
                SEVERITY_RANK[self._severity(name, trouble)] for name, trouble in troubles.items()
            )

    def _recovered(self, rank: int) -> None:
        del self.bad[rank], self.told[rank], self.heard[rank]

    def _found(self, sample: Sample, now: Mapping[str, str]) -> Finding | None:
        """Count what is bad; tell of the gravest where that is graver than what was told of the rank."""
        rank = sample.rank
        troubles = self.bad.setdefault(rank, {})
        for name in now:
            trouble = troubles.setdefault(name, Trouble(onset_step=sample.step))
            trouble.samples += 1
            trouble.masked = sample.values.get(wire.STEP_MASKED) == 1.0
        self.heard[rank] = self.steps
        worst = max(now, key=lambda name: SEVERITY_RANK[self._severity(name, troubles[name])])
        severity = self._severity(worst, troubles[worst])
        known = self.told.setdefault(rank, -1)
        if SEVERITY_RANK[severity] <= known:
            return None
        self.told[rank] = SEVERITY_RANK[severity]
        metric = now[worst]
        return Finding(
            kind=self.kind,
            metric=metric,
            severity=severity,
            step=sample.step,
            time=sample.time,
            onset_step=min(troubles[worst].onset_step, sample.step),
            value=sample.values[metric],
            expected=self.last_finite.get(metric, nan),
            score=inf,
            evidence={"samples": troubles[worst].samples, "rank": rank}
            | ({"masked": True} if troubles[worst].masked else {}),
        )

    def _severity(self, name: str, trouble: Trouble) -> Severity:
        if name == wire.EVAL_LOSS:
            return "warning"
        overflows = trouble.masked or (self.scaled and name != wire.LOSS)
        if not overflows or trouble.samples >= self.settings.scaler_critical_samples:
            return "critical"
        return "warning" if trouble.samples >= self.settings.scaler_warning_samples else "info"

    def rewind(self, step: int) -> None:
        """The run goes on from `step`, on every rank."""
        del step
        self.bad.clear()
        self.told.clear()
        self.heard.clear()
        self.newest_step, self.steps = -1, 0


def _bad_layer(values: Mapping[str, float]) -> str | None:
    """The first layer whose norm is not finite. One sum of all is the quick way to see that there is none."""
    if isfinite(sum(values.values())):
        return None
    return next((name for name in values if name.startswith(PREFIX) and not isfinite(values[name])), None)


def _was_sent(name: str, values: Mapping[str, float]) -> bool:
    return name in values if name != PREFIX else has_layers(values)
