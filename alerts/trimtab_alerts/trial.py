"""Try a policy out before it is needed: what is wrong with it, and a test alert through each destination."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Final
from urllib.parse import urlsplit

from trimtab_alerts.alert import Alert, AlertTransition, Severity, alert_id_of
from trimtab_alerts.dispatcher import Channel
from trimtab_alerts.outbox import delivery_of
from trimtab_alerts.outcome import Outcome
from trimtab_alerts.settings import (
    ROUTING_KEY_CHARS,
    AlertSettings,
    DestinationSettings,
    PagerDutySettings,
    SecretUnreadable,
    WebhookSettings,
    read_secret,
)

TRIAL_RUN: Final = "trimtab-test"


@dataclass(frozen=True, slots=True)
class Route:
    """A destination as people check it: no secret in it. `problem` says why nothing would arrive."""

    name: str
    min_severity: str
    send_resolved: bool
    target: str
    problem: str | None = None


@dataclass(frozen=True, slots=True)
class Trial:
    """What came of a test alert, and of taking it back, at one destination."""

    name: str
    trigger: Outcome
    resolve: Outcome


def routes(settings: AlertSettings) -> list[Route]:
    """Every destination that is set, its secrets read to see whether they can be."""
    return [_route(name, destination) for name, destination in settings.destinations()]


def try_out(settings: AlertSettings, channels: list[Channel], host: str, now: float) -> Iterator[Trial]:
    """Send a test alert through each channel, at the least severity it hears, and take it back at once."""
    severities = {name: destination.min_severity for name, destination in settings.destinations()}
    for channel in channels:
        alert = trial_alert(severities[channel.name], host, now)
        trigger = channel.notifier.notify(
            delivery_of(AlertTransition("trigger", alert, 1), channel.name, now)
        )
        ended = replace(alert, state="resolved", ends_at=now)
        resolve = channel.notifier.notify(
            delivery_of(AlertTransition("resolve", ended, 2), channel.name, now)
        )
        yield Trial(channel.name, trigger, resolve)


def trial_alert(severity: Severity, host: str, now: float) -> Alert:
    """An alert that says it is a test; each second's is a different one."""
    incident = f"{TRIAL_RUN}.{now:.0f}"
    summary = f"Test alert from Trimtab on {host}: nothing is wrong"
    labels = {"alertname": "TrimtabTest", "run": TRIAL_RUN, "incident": incident, "kind": "test"}
    return Alert(
        id=alert_id_of(TRIAL_RUN, incident),
        run=TRIAL_RUN,
        incident=incident,
        kind="test",
        severity=severity,
        state="firing",
        summary=summary,
        starts_at=now,
        labels={**labels, "severity": severity},
        annotations={"summary": summary},
    )


def _route(name: str, destination: DestinationSettings) -> Route:
    try:
        target, problem = _target(destination), None
    except SecretUnreadable as error:
        target, problem = "unknown", str(error)
    return Route(name, destination.min_severity, destination.send_resolved, target, problem)


def _target(destination: DestinationSettings) -> str:
    match destination:
        case WebhookSettings():
            return _webhook_target(destination)
        case PagerDutySettings():
            key = read_secret(destination.routing_key, destination.routing_key_file)
            if len(key) != ROUTING_KEY_CHARS:
                raise SecretUnreadable(
                    f"{destination.routing_key_file} holds {len(key)} characters; "
                    f"a routing key has {ROUTING_KEY_CHARS}"
                )
            return destination.url
    return "standard error"


def _webhook_target(webhook: WebhookSettings) -> str:
    """The webhook's host: the rest of its URL is a secret."""
    parts = urlsplit(read_secret(webhook.url, webhook.url_file))
    if parts.scheme not in {"http", "https"} or not parts.hostname:
        raise SecretUnreadable(f"{webhook.url_file} holds no http:// or https:// URL")
    if webhook.secret is None and webhook.secret_file is None:
        return f"{parts.scheme}://{parts.hostname}/… (unsigned)"
    read_secret(webhook.secret, webhook.secret_file)
    return f"{parts.scheme}://{parts.hostname}/… (signed)"
