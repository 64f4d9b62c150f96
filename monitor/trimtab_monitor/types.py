"""The few types that everyone in the collector speaks in."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal, Protocol

import msgspec

from trimtab_monitor.thinned import Thinned

Severity = Literal["info", "warning", "critical"]
"""info: a mark on the chart, never a page; warning: tell someone; critical: act."""

SEVERITY_RANK: Mapping[str, int] = {"info": 0, "warning": 1, "critical": 2}


class Sample(msgspec.Struct, frozen=True, gc=False):
    """One step of one rank: what was measured there, non-finite values included.

    `values` holds measured values only: a metric that was not measured at this step is absent. `time` is Unix
    seconds.
    """

    step: int
    time: float
    values: Mapping[str, float]
    attempt: int = 0
    rank: int = 0


@dataclass(frozen=True, slots=True)
class Finding:
    """What one detector saw at one step.

    `step` is where it was seen, `onset_step` where it began (never later than `step`). `expected` is what the
    metric should have been, `score` how far off it is in units of its usual noise (infinite for a non-finite
    value).
    """

    kind: str
    metric: str
    severity: Severity
    step: int
    time: float
    onset_step: int
    value: float
    expected: float
    score: float
    evidence: Mapping[str, Any] = field(default_factory=dict)


class Detector(Protocol):
    """Looks at one sample at a time. Its attributes are its state, and serialise."""

    kind: ClassVar[str]

    @property
    def active(self) -> bool:
        """Whether what it last saw is still out of the ordinary."""

    def update(self, sample: Sample) -> Finding | None:
        """Take the next sample; return a finding if this one tells something new."""

    def rewind(self, step: int) -> None:
        """Forget what is pending, keep what was learned before the onset: the run went back to `step`."""


@dataclass(slots=True)
class Incident:
    """Findings that belong together, told as one. Steps are of the attempt in which it was detected.

    `bad_samples` counts the bad samples in a row since it was detected, or since the run was last restored;
    `clean_samples` those in a row that were not bad. `last_bad_step` is the last step that was.
    `quiet_samples` counts those since it last got worse. It is over when no kind in `watched` is active any
    more, `calm` counts for how long each was not; only samples with a metric in `told_by` tell. `counted` is
    the attempt and step of the last of them. `led_by` is the severity of the finding that names it.
    `bad` and `calm_now` are values of the metric while it was bad, and since it is calm.
    """

    id: str
    kind: str
    severity: Severity
    metric: str
    start_step: int
    detected_step: int
    peak_step: int
    end_step: int | None
    state: Literal["open", "resolved"]
    summary: str
    evidence: dict[str, Any]
    attempt: int = 0
    opened_at: float = 0.0
    resolved_at: float | None = None
    bad_samples: int = 0
    clean_samples: int = 0
    last_bad_step: int = 0
    quiet_samples: int = 0
    watched: list[str] = field(default_factory=list)
    told_by: list[str] = field(default_factory=list)
    calm: dict[str, int] = field(default_factory=dict)
    counted: list[int] = field(default_factory=list)
    led_by: Severity = "info"
    bad: Thinned = field(default_factory=Thinned)
    calm_now: Thinned = field(default_factory=Thinned)

    def as_json(self) -> dict[str, Any]:
        """The shape in which the API, `replay` and `report` tell it."""
        return {
            "id": self.id,
            "kind": self.kind,
            "severity": self.severity,
            "metric": self.metric,
            "start_step": self.start_step,
            "detected_step": self.detected_step,
            "peak_step": self.peak_step,
            "end_step": self.end_step,
            "state": self.state,
            "summary": self.summary,
            "evidence": self.evidence,
        }
