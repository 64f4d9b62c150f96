"""An incident that is new or has changed becomes an effect, and so do the alerts that come of it."""

from __future__ import annotations

from dataclasses import replace

from trimtab_alerts.alert import alert_id_of
from trimtab_alerts.routing import deliveries
from trimtab_alerts.settings import AlertSettings
from trimtab_monitor.folding.effects import Effects
from trimtab_monitor.folding.outcomes import keep_unanswered
from trimtab_monitor.folding.run_state import RunState
from trimtab_monitor.types import SEVERITY_RANK, Incident


class Telling:
    """Tells of one entry's changes; `now` is when the collector took the entry, Unix seconds of its clock."""

    def __init__(self, state: RunState, effects: Effects, settings: AlertSettings, now: float) -> None:
        self._state = state
        self._effects = effects
        self._settings = settings
        self._now = now

    def incident(self, incident: Incident) -> None:
        """An incident is new or has changed."""
        self._effects.incidents[incident.id] = incident
        if self._is_old_news(incident):
            return
        self._count(incident)
        if incident.state == "resolved":
            keep_unanswered(self._state, incident)
        for transition in self._state.alerts.observe(self._by_our_clock(incident)):
            self._effects.alerts[transition.alert.id] = transition.alert
            self._effects.deliveries += deliveries(transition, self._settings, self._now)

    def _is_old_news(self, incident: Incident) -> bool:
        """What comes again and again pages nobody again, until it gets graver."""
        told = incident.evidence.get("told_severity")
        open_ = alert_id_of(self._state.run, incident.id) in self._state.alerts.alerts
        return told is not None and not open_ and SEVERITY_RANK[incident.severity] <= SEVERITY_RANK[told]

    def ack(self, alert_id: str) -> None:
        """A person took an alert."""
        for transition in self._state.alerts.ack(alert_id, self._now):
            self._effects.alerts[transition.alert.id] = transition.alert
            self._effects.deliveries += deliveries(transition, self._settings, self._now)

    def _by_our_clock(self, incident: Incident) -> Incident:
        """An alert begins and ends when the collector learned of it: the job's clock may be wrong."""
        known = self._state.alerts.alerts.get(alert_id_of(self._state.run, incident.id))
        ended = self._now if known is None else max(self._now, known.starts_at)
        resolved_at = ended if incident.state == "resolved" else None
        return replace(incident, opened_at=self._now, resolved_at=resolved_at)

    def _count(self, incident: Incident) -> None:
        """Count it once for every severity that it reaches."""
        if self._state.severities.get(incident.id) != incident.severity:
            totals = self._state.incidents_total
            totals[incident.severity] = totals.get(incident.severity, 0) + 1
        if incident.state == "open":
            self._state.severities[incident.id] = incident.severity
        else:
            self._state.severities.pop(incident.id, None)
