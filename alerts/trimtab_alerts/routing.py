"""Who is told of a transition: one pure function from the policy to deliveries."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from trimtab_alerts.alert import SEVERITY_RANK, Action, AlertTransition
from trimtab_alerts.outbox import Delivery, delivery_of
from trimtab_alerts.settings import (
    AlertSettings,
    ConsoleSettings,
    DestinationSettings,
    PagerDutySettings,
    WebhookSettings,
)

_SPEAKS: Final[Mapping[type[DestinationSettings], frozenset[Action]]] = {
    ConsoleSettings: frozenset({"trigger", "update", "acknowledge", "resolve"}),
    WebhookSettings: frozenset(
        {"trigger", "update", "resolve"}
    ),  # Alertmanager's body knows no acknowledgement
    PagerDutySettings: frozenset({"trigger", "update", "acknowledge", "resolve"}),
}


def deliveries(transition: AlertTransition, settings: AlertSettings, now: float) -> list[Delivery]:
    """The deliveries that a transition makes, one for each destination that wants to hear of it.

    `now` is when the collector took the entry that made the transition, in Unix seconds of its own clock: a
    job's clock may be wrong. An alert's severity never falls, so who was told of its begin hears of its end.
    """
    return [
        delivery_of(transition, name, now)
        for name, destination in settings.destinations()
        if _wants(destination, transition)
    ]


def _wants(destination: DestinationSettings, transition: AlertTransition) -> bool:
    if transition.action == "resolve" and not destination.send_resolved:
        return False
    loud_enough = SEVERITY_RANK[transition.alert.severity] >= SEVERITY_RANK[destination.min_severity]
    return loud_enough and transition.action in _SPEAKS[type(destination)]
