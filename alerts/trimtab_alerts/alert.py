"""From incident to alert: what is worth telling, once, and what has changed since.

One incident is one alert; the ranks and layers that it touched are members of it, never alerts of their own.
An incident of severity `info` is a mark on the chart and never becomes an alert.

    incident opens (warning, critical) -> trigger
    its severity rises                 -> update
    a person takes it                  -> acknowledge
    incident resolves                  -> resolve
"""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, Final, Literal, Protocol

import msgspec

from trimtab_alerts.evidence import in_words

Severity = Literal["info", "warning", "critical"]
AlertState = Literal["firing", "acknowledged", "resolved"]
Action = Literal["trigger", "update", "acknowledge", "resolve"]

SEVERITY_RANK: Final[Mapping[str, int]] = {"info": 0, "warning": 1, "critical": 2}

REMEMBERED_RESOLVED: Final = 256
"""How many resolved alerts the book remembers by id, so that a late change of one is not a new alert."""


class IncidentLike(Protocol):
    """What an alert needs to know of an incident. Times are Unix seconds."""

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
    attempt: int
    opened_at: float
    resolved_at: float | None


@dataclass(frozen=True, slots=True)
class Alert:
    """One incident as people are told of it. Times are Unix seconds; `ends_at` is null until it resolves."""

    id: str
    run: str
    incident: str
    kind: str
    severity: Severity
    state: AlertState
    summary: str
    starts_at: float
    ends_at: float | None = None
    acknowledged_at: float | None = None
    labels: dict[str, str] = field(default_factory=dict)
    annotations: dict[str, str] = field(default_factory=dict)

    @property
    def dedup_key(self) -> str:
        """The key under which every destination knows it: the same from trigger to resolve, over restarts."""
        return f"trimtab-{self.id}"

    def as_json(self) -> dict[str, Any]:
        """The shape in which the API tells it."""
        return {**msgspec.to_builtins(self), "dedup_key": self.dedup_key}


@dataclass(frozen=True, slots=True)
class AlertTransition:
    """One thing to tell: the alert as it stands after `action`. `ordinal` grows by one within a run."""

    action: Action
    alert: Alert
    ordinal: int


@dataclass(slots=True)
class AlertBook:
    """The open alerts of one run. Its attributes are its state, and serialise; resolved alerts leave it."""

    run: str
    alerts: dict[str, Alert] = field(default_factory=dict)
    resolved: list[str] = field(default_factory=list)
    ordinal: int = 0

    def observe(self, incident: IncidentLike) -> list[AlertTransition]:
        """Take an incident that is new or has changed; return what is to be told, in order."""
        alert_id = alert_id_of(self.run, incident.id)
        known = self.alerts.get(alert_id)
        if known is None:
            return self._first_seen(alert_id, incident)
        if incident.state == "resolved":
            return [self._resolve(known, incident)]
        if SEVERITY_RANK[incident.severity] > SEVERITY_RANK[known.severity]:
            return [self._escalate(known, incident)]
        return []

    def ack(self, alert_id: str, time: float) -> list[AlertTransition]:
        """Note that a person has taken the alert; empty if it is not firing."""
        known = self.alerts.get(alert_id)
        if known is None or known.state != "firing":
            return []
        return [self._put("acknowledge", replace(known, state="acknowledged", acknowledged_at=time))]

    def _first_seen(self, alert_id: str, incident: IncidentLike) -> list[AlertTransition]:
        if incident.severity == "info":
            return []
        if incident.state == "resolved" and alert_id in self.resolved:
            return []
        fired = self._put("trigger", _alert(alert_id, self.run, incident))
        if incident.state == "open":
            return [fired]
        return [fired, self._resolve(fired.alert, incident)]

    def _escalate(self, known: Alert, incident: IncidentLike) -> AlertTransition:
        # Who took the warning has not taken the critical one: it fires again.
        worse = replace(_alert(known.id, self.run, incident), starts_at=known.starts_at)
        return self._put("update", worse)

    def _resolve(self, known: Alert, incident: IncidentLike) -> AlertTransition:
        worst = max(known.severity, incident.severity, key=SEVERITY_RANK.__getitem__)
        last = _alert(known.id, self.run, incident, severity=worst)
        ends_at = known.starts_at if incident.resolved_at is None else incident.resolved_at
        del self.alerts[known.id]
        self.resolved = [*self.resolved[-(REMEMBERED_RESOLVED - 1) :], known.id]
        told = replace(
            last,
            state="resolved",
            starts_at=known.starts_at,
            ends_at=ends_at,
            acknowledged_at=known.acknowledged_at,
        )
        return self._transition("resolve", told)

    def _put(self, action: Action, alert: Alert) -> AlertTransition:
        self.alerts[alert.id] = alert
        return self._transition(action, alert)

    def _transition(self, action: Action, alert: Alert) -> AlertTransition:
        # One count for the run, not for the alert: an incident that reopens must not reuse a number.
        self.ordinal += 1
        return AlertTransition(action, alert, self.ordinal)


def alert_id_of(run: str, incident_id: str) -> str:
    """The alert's id: 32 hexadecimal digits that depend on the run and the incident alone."""
    return hashlib.sha256(f"{run}\0{incident_id}".encode()).hexdigest()[:32]


def _alert(alert_id: str, run: str, incident: IncidentLike, severity: Severity | None = None) -> Alert:
    worst = severity or incident.severity
    return Alert(
        id=alert_id,
        run=run,
        incident=incident.id,
        kind=incident.kind,
        severity=worst,
        state="firing",
        summary=incident.summary,
        starts_at=incident.opened_at,
        labels=_labels(run, incident, worst),
        annotations=_annotations(incident),
    )


def _labels(run: str, incident: IncidentLike, severity: Severity) -> dict[str, str]:
    return {
        "alertname": "Trimtab" + "".join(part.capitalize() for part in incident.kind.split("_")),
        "run": run,
        "incident": incident.id,
        "kind": incident.kind,
        "metric": incident.metric,
        "severity": severity,
    }


def _annotations(incident: IncidentLike) -> dict[str, str]:
    out = {
        "summary": incident.summary,
        "attempt": str(incident.attempt),
        "start_step": str(incident.start_step),
        "detected_step": str(incident.detected_step),
        "peak_step": str(incident.peak_step),
    }
    if incident.end_step is not None:
        out["end_step"] = str(incident.end_step)
    return out | {f"evidence_{key}": told for key, told in in_words(incident.evidence).items()}
