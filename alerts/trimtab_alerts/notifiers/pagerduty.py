"""Pages people through PagerDuty's Events API v2.

The dedup_key makes at-least-once delivery once: PagerDuty adds a repeated trigger to the alert that is open,
and drops an acknowledge or resolve for which none is. It takes events asynchronously: its 202 says that it
has the event, not that anyone was paged.
Source: PagerDuty/developer-docs docs/events-API-v2 (overview, trigger events, rate limits).
"""

from __future__ import annotations

import json
from typing import Any, Final

import msgspec

from trimtab_alerts.alert import Action, Alert
from trimtab_alerts.http import Poster
from trimtab_alerts.outbox import Delivery
from trimtab_alerts.outcome import Outcome, Permanent, Retry
from trimtab_alerts.rate import TokenBucket
from trimtab_alerts.settings import PagerDutySettings, SecretUnreadable, read_secret
from trimtab_alerts.text import rfc3339, run_page, shorten

SUMMARY_CHARS: Final = 1024
EVENT_BYTES: Final = 512_000
"""The size limit is 512 KB; like Alertmanager we read it as 512,000 bytes."""
FIELD_CHARS: Final = 255

_EVENT_ACTIONS: Final[dict[Action, str]] = {
    "trigger": "trigger",
    "update": "trigger",
    "acknowledge": "acknowledge",
    "resolve": "resolve",
}


class PagerDutyNotifier:
    """Sends each transition of an alert as one event."""

    def __init__(self, settings: PagerDutySettings, public_url: str | None = None) -> None:
        self._settings = settings
        self._public_url = public_url
        self._poster = Poster(settings.timeout_s)

    def notify(self, delivery: Delivery) -> Outcome:
        """Send the event."""
        try:
            alert = delivery.alert()
            key = read_secret(self._settings.routing_key, self._settings.routing_key_file)
        except msgspec.DecodeError as error:
            return Permanent(f"the delivery holds no alert: {error}")
        except SecretUnreadable as error:
            return Retry(str(error))
        event = render(delivery.action, alert, key, self._public_url)
        return self._poster.post(self._settings.url, encode(event), (key,))


def rate_limit() -> TokenBucket:
    """At most 120 events in any minute: the least limit that PagerDuty names for an integration key."""
    return TokenBucket(per_minute=100, burst=20)


def render(action: Action, alert: Alert, routing_key: str, public_url: str | None) -> dict[str, Any]:
    """The event. To acknowledge or resolve takes the two keys and the action alone."""
    event: dict[str, Any] = {
        "routing_key": routing_key,
        "event_action": _EVENT_ACTIONS[action],
        "dedup_key": alert.dedup_key,
    }
    if event["event_action"] != "trigger":
        return event
    event |= {"payload": _payload(alert), "client": "Trimtab"}
    page = run_page(public_url, alert.run)
    if page is not None:
        event |= {"client_url": page, "links": [{"href": page, "text": f"Run {alert.run}"}]}
    return event


def encode(event: dict[str, Any]) -> bytes:
    """The event as JSON within the size limit: what does not fit loses its details, never the page."""
    body = json.dumps(event).encode()
    if len(body) <= EVENT_BYTES:
        return body
    note = {"trimtab": f"details left out: the event had {len(body)} bytes, PagerDuty takes {EVENT_BYTES}"}
    return json.dumps({**event, "payload": {**event["payload"], "custom_details": note}}).encode()


def _payload(alert: Alert) -> dict[str, Any]:
    return {
        "summary": shorten(f"{alert.run}: {alert.summary}", SUMMARY_CHARS),
        "source": alert.run,
        "severity": alert.severity,  # critical and warning are PagerDuty's own words for these
        "timestamp": rfc3339(alert.starts_at),
        "component": shorten(alert.labels.get("metric", ""), FIELD_CHARS),
        "group": alert.run,
        "class": alert.kind,
        "custom_details": {"incident": alert.incident, **alert.annotations},
    }
