"""An incident for tests and examples: a loss spike of one sample, whatever else is said of it."""

from __future__ import annotations

from typing import Any, Literal

from trimtab_monitor.types import Incident, Severity


def an_incident(
    kind: str = "loss_spike",
    metric: str = "loss",
    *,
    severity: Severity = "critical",
    state: Literal["open", "resolved"] = "open",
    start_step: int = 100,
    last_bad_step: int = 100,
    **evidence: Any,
) -> Incident:
    """Make one that was detected at step 100, with `evidence` over that of a spike from 2 to 5."""
    told: dict[str, Any] = {
        "detectors": [kind],
        "ranks": [0],
        "findings": [a_finding(kind, metric, start_step)],
        "rollbacks": [],
        "value": 5.1,
        "baseline": 2.1,
        "score": 14.0,
        "step": 100,
        "peak": 5.1,
        "seen": {},
    }
    return Incident(
        id="run-1.1",
        kind=kind,
        severity=severity,
        metric=metric,
        start_step=start_step,
        detected_step=100,
        peak_step=100,
        end_step=None if state == "open" else last_bad_step,
        state=state,
        summary="",
        evidence=told | evidence,
        last_bad_step=last_bad_step,
    )


def a_finding(kind: str, metric: str, onset_step: int, attempt: int = 0) -> dict[str, Any]:
    """What an incident keeps of a finding."""
    return {
        "kind": kind,
        "metric": metric,
        "severity": "warning",
        "step": onset_step,
        "onset_step": onset_step,
        "value": 5.1,
        "expected": 2.1,
        "score": 14.0,
        "attempt": attempt,
        "rank": 0,
    }
