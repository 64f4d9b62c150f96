"""From settings to a dispatcher: every destination that is set, in one visible list."""

from __future__ import annotations

import time
from collections.abc import Callable

from trimtab_alerts.dispatcher import Channel, Dispatcher, OnCrash
from trimtab_alerts.notifiers.console import ConsoleNotifier
from trimtab_alerts.notifiers.pagerduty import PagerDutyNotifier, rate_limit
from trimtab_alerts.notifiers.webhook import WebhookNotifier
from trimtab_alerts.outbox import OutboxStore
from trimtab_alerts.retry import RetryPolicy
from trimtab_alerts.settings import (
    AlertSettings,
    ConsoleSettings,
    DestinationSettings,
    PagerDutySettings,
    WebhookSettings,
)


def build_dispatcher(
    store: OutboxStore,
    settings: AlertSettings,
    public_url: str | None = None,
    *,
    clock: Callable[[], float] = time.time,
    on_crash: OnCrash = lambda _name, _error: None,
) -> Dispatcher:
    """A dispatcher of what the store holds to the destinations that are set.

    `public_url` is where people reach the collector, for the links in alerts; none: no links.
    """
    policy = RetryPolicy(give_up_after_seconds=settings.give_up_after_s)
    return Dispatcher(store, channels(settings, public_url), clock=clock, policy=policy, on_crash=on_crash)


def channels(settings: AlertSettings, public_url: str | None = None) -> list[Channel]:
    """A channel for every destination that is set."""
    return [_channel(name, destination, public_url) for name, destination in settings.destinations()]


def _channel(name: str, destination: DestinationSettings, public_url: str | None) -> Channel:
    match destination:
        case ConsoleSettings():
            return Channel(name, ConsoleNotifier())
        case WebhookSettings():
            return Channel(name, WebhookNotifier(destination, public_url))
        case PagerDutySettings():
            return Channel(name, PagerDutyNotifier(destination, public_url), rate_limit())
    raise AssertionError(f"no notifier for {destination!r}")
