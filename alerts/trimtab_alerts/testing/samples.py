"""Incidents and deliveries to try alerts with: a test names only what it is about."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, Literal

from trimtab_alerts.alert import Action, Alert, AlertTransition, Severity, alert_id_of
from trimtab_alerts.outbox import Delivery, delivery_of


@dataclass(slots=True)
class SampleIncident:
    """An incident with a value for everything."""

    id: str = "run-1.0"
    kind: str = "loss_spike"
    severity: Severity = "critical"
    metric: str = "loss"
    start_step: int = 40
    detected_step: int = 42
    peak_step: int = 42
    end_step: int | None = None
    state: Literal["open", "resolved"] = "open"
    summary: str = "loss is 11.2 at step 42, expected 2.9"
    evidence: dict[str, Any] = field(default_factory=dict)
    attempt: int = 0
    opened_at: float = 1_700_000_000.0
    resolved_at: float | None = None


def sample_delivery(
    destination: str = "pager",
    incident: str = "run-1.0",
    *,
    ordinal: int = 1,
    action: Action = "trigger",
    created_at: float = 100.0,
) -> Delivery:
    """The delivery of a transition of one incident of run-1."""
    state: Literal["firing", "resolved"] = "resolved" if action == "resolve" else "firing"
    alert = Alert(
        id=alert_id_of("run-1", incident),
        run="run-1",
        incident=incident,
        kind="loss_spike",
        severity="critical",
        state=state,
        summary="loss is 11.2 at step 42, expected 2.9",
        starts_at=created_at,
        ends_at=created_at if state == "resolved" else None,
    )
    return delivery_of(AlertTransition(action, alert, ordinal), destination, created_at)
