"""The ways to tell people, one a file."""

from __future__ import annotations

from collections.abc import Iterator

from trimtab_alerts.dispatcher import Channel
from trimtab_alerts.notifiers.console import ConsoleNotifier
from trimtab_alerts.notifiers.pagerduty import PagerDutyNotifier, rate_limit
from trimtab_alerts.notifiers.webhook import WebhookNotifier
from trimtab_alerts.settings import CONSOLE, PAGERDUTY, AlertSettings

__all__ = ["ConsoleNotifier", "PagerDutyNotifier", "WebhookNotifier", "channels"]


def channels(settings: AlertSettings) -> list[Channel]:
    """A channel for every destination that is set."""
    return [*_console(settings), *_webhooks(settings), *_pagerduty(settings)]


def _console(settings: AlertSettings) -> Iterator[Channel]:
    if settings.console.enabled:
        yield Channel(CONSOLE, ConsoleNotifier())


def _webhooks(settings: AlertSettings) -> Iterator[Channel]:
    for webhook in settings.webhooks:
        yield Channel(webhook.name, WebhookNotifier(webhook, settings.external_url))


def _pagerduty(settings: AlertSettings) -> Iterator[Channel]:
    if settings.pagerduty is not None:
        notifier = PagerDutyNotifier(settings.pagerduty, settings.external_url)
        yield Channel(PAGERDUTY, notifier, rate_limit())
