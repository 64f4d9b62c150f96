"""Posts alerts to a URL in the body of Alertmanager's webhook, version 4, which many tools take.

Beside the body stand an Idempotency-Key, the same at each retry, and, where a secret is set,
`Trimtab-Signature: sha256=<hex>`: the HMAC-SHA256 of the body's bytes under that secret.
Source: prometheus/alertmanager docs/configuration.md and notify/webhook/webhook.go.
"""

from __future__ import annotations

import hashlib
import hmac
import json
from typing import Any, Final

import msgspec

from trimtab_alerts.alert import Alert
from trimtab_alerts.http import Poster
from trimtab_alerts.outbox import Delivery
from trimtab_alerts.outcome import Outcome, Permanent, Retry
from trimtab_alerts.settings import SecretUnreadable, WebhookSettings, read_secret
from trimtab_alerts.text import rfc3339, run_page

SIGNATURE_HEADER: Final = "Trimtab-Signature"
IDEMPOTENCY_HEADER: Final = "Idempotency-Key"
_NOT_ENDED: Final = "0001-01-01T00:00:00Z"
"""Go's zero time: how Alertmanager writes that an alert has not ended."""


class WebhookNotifier:
    """Posts each alert to one URL."""

    def __init__(self, settings: WebhookSettings, public_url: str | None = None) -> None:
        self._settings = settings
        self._public_url = public_url
        self._poster = Poster(settings.timeout_s)

    def notify(self, delivery: Delivery) -> Outcome:
        """Post the alert."""
        try:
            alert = delivery.alert()
            url = read_secret(self._settings.url, self._settings.url_file)
            secret = self._secret()
        except msgspec.DecodeError as error:
            return Permanent(f"the delivery holds no alert: {error}")
        except SecretUnreadable as error:
            return Retry(str(error))
        body = json.dumps(render(alert, self._settings.name, self._public_url)).encode()
        headers = {IDEMPOTENCY_HEADER: delivery.id}
        if secret is not None:
            headers[SIGNATURE_HEADER] = signature(body, secret)
        return self._poster.post(url, body, (secret,) if secret else (), headers)

    def _secret(self) -> str | None:
        if self._settings.secret is None and self._settings.secret_file is None:
            return None
        return read_secret(self._settings.secret, self._settings.secret_file)


def signature(body: bytes, secret: str) -> str:
    """The signature header's value: a receiver computes it over the bytes it got, and compares."""
    return "sha256=" + hmac.new(secret.encode(), body, hashlib.sha256).hexdigest()


def render(alert: Alert, receiver: str, public_url: str | None) -> dict[str, Any]:
    """The body: a group of one alert."""
    status = "resolved" if alert.state == "resolved" else "firing"
    group = {"incident": alert.incident, "run": alert.run}
    group_key = ", ".join(f"{name}={json.dumps(value)}" for name, value in group.items())
    return {
        "receiver": receiver,
        "status": status,
        "alerts": [_one(alert, status, public_url)],
        "groupLabels": group,
        "commonLabels": alert.labels,
        "commonAnnotations": alert.annotations,
        "externalURL": public_url or "",
        "version": "4",
        "groupKey": f"{{}}:{{{group_key}}}",
        "truncatedAlerts": 0,
    }


def _one(alert: Alert, status: str, public_url: str | None) -> dict[str, Any]:
    return {
        "status": status,
        "labels": alert.labels,
        "annotations": alert.annotations,
        "startsAt": rfc3339(alert.starts_at),
        "endsAt": _NOT_ENDED if alert.ends_at is None else rfc3339(alert.ends_at),
        "generatorURL": run_page(public_url, alert.run) or "",
        "fingerprint": alert.id[:16],
    }
