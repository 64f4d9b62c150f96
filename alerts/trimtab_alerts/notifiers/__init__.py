"""The ways to tell people, one a file."""

from __future__ import annotations

from trimtab_alerts.notifiers.console import ConsoleNotifier
from trimtab_alerts.notifiers.pagerduty import PagerDutyNotifier
from trimtab_alerts.notifiers.webhook import WebhookNotifier

__all__ = ["ConsoleNotifier", "PagerDutyNotifier", "WebhookNotifier"]
