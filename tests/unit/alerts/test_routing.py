from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from trimtab_alerts.alert import AlertBook, AlertTransition, Severity
from trimtab_alerts.routing import deliveries
from trimtab_alerts.settings import AlertSettings
from trimtab_alerts.testing import SampleIncident

EVERYWHERE: dict[str, Any] = {
    "webhooks": [{"name": "ops", "url": "http://x"}],
    "pagerduty": {"routing_key": "K" * 32},
}


def story(severity: Severity) -> dict[str, AlertTransition]:
    """A trigger, an acknowledgement and a resolve."""
    book = AlertBook("run-1")
    incident = SampleIncident(severity=severity)
    (fired,) = book.observe(incident)
    (taken,) = book.ack(fired.alert.id, 5.0)
    (ended,) = book.observe(replace(incident, state="resolved", resolved_at=9.0))
    return {each.action: each for each in (fired, taken, ended)}


def routes(transition: AlertTransition, raw: dict[str, Any]) -> list[str]:
    return [each.destination for each in deliveries(transition, AlertSettings.model_validate(raw), now=100.0)]


@pytest.mark.parametrize(
    ("severity", "action", "expected"),
    [
        ("critical", "trigger", ["console", "ops", "pagerduty"]),
        ("critical", "acknowledge", ["console", "pagerduty"]),
        ("critical", "resolve", ["console", "ops", "pagerduty"]),
        ("warning", "trigger", ["console", "ops"]),
        ("warning", "resolve", ["console", "ops"]),
    ],
)
def test_a_transition_goes_to_who_wants_it(severity: Severity, action: str, expected: list[str]) -> None:
    assert routes(story(severity)[action], EVERYWHERE) == expected


def test_what_worsens_reaches_who_only_hears_of_the_worst() -> None:
    book = AlertBook("run-1")
    book.observe(SampleIncident(severity="warning"))
    (worse,) = book.observe(SampleIncident(severity="critical"))
    assert worse.action == "update"
    assert "pagerduty" in routes(worse, EVERYWHERE)


def test_a_destination_may_leave_out_the_end() -> None:
    quiet = {"pagerduty": {"routing_key": "K" * 32, "send_resolved": False}}
    assert routes(story("critical")["resolve"], quiet) == ["console"]


def test_the_console_can_be_turned_off() -> None:
    assert routes(story("critical")["trigger"], {"console": {"enabled": False}}) == []


def test_a_delivery_holds_the_alert_is_due_at_once_and_has_the_same_id_each_time() -> None:
    transition = story("critical")["trigger"]
    first, again = (deliveries(transition, AlertSettings(), now)[0] for now in (100.0, 200.0))
    assert first.id == again.id
    assert (first.created_at, first.next_try_at, first.state) == (100.0, 0.0, "pending")
    assert first.alert() == transition.alert
    assert first.dedup_key == transition.alert.dedup_key


def test_every_delivery_of_a_story_has_an_id_of_its_own() -> None:
    settings = AlertSettings.model_validate(EVERYWHERE)
    ids = [d.id for t in story("critical").values() for d in deliveries(t, settings, 1.0)]
    assert len(ids) == 8
    assert len(set(ids)) == 8
