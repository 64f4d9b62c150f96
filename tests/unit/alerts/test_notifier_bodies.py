from __future__ import annotations

import hashlib
import hmac
import io
import json
from dataclasses import replace
from typing import Any

import pytest

from trimtab_alerts.alert import Action, Alert, AlertBook
from trimtab_alerts.notifiers import ConsoleNotifier, console, pagerduty, webhook
from trimtab_alerts.outcome import Ok, Permanent
from trimtab_alerts.testing import SampleIncident, sample_delivery

URL = "https://trimtab.example.com"
KEY = "K" * 32


def alert(**changes: Any) -> Alert:
    (transition,) = AlertBook("run-1").observe(SampleIncident(evidence={"expected": 2.9}))
    return replace(transition.alert, **changes)


def test_a_pagerduty_trigger_is_exactly_an_events_v2_event() -> None:
    event = pagerduty.render("trigger", alert(), KEY, URL)
    assert event == {
        "routing_key": KEY,
        "event_action": "trigger",
        "dedup_key": alert().dedup_key,
        "client": "Trimtab",
        "client_url": f"{URL}/runs/run-1",
        "links": [{"href": f"{URL}/runs/run-1", "text": "Run run-1"}],
        "payload": {
            "summary": "run-1: loss is 11.2 at step 42, expected 2.9",
            "source": "run-1",
            "severity": "critical",
            "timestamp": "2023-11-14T22:13:20.000Z",
            "component": "loss",
            "group": "run-1",
            "class": "loss_spike",
            "custom_details": {
                "incident": "run-1.0",
                "summary": "loss is 11.2 at step 42, expected 2.9",
                "attempt": "0",
                "start_step": "40",
                "detected_step": "42",
                "peak_step": "42",
                "evidence_expected": "2.9",
            },
        },
    }


@pytest.mark.parametrize(
    ("action", "event_action"),
    [("acknowledge", "acknowledge"), ("resolve", "resolve"), ("update", "trigger")],
)
def test_every_action_keeps_the_key(action: Action, event_action: str) -> None:
    event = pagerduty.render(action, alert(), KEY, URL)
    assert (event["event_action"], event["dedup_key"]) == (event_action, alert().dedup_key)
    if action in {"acknowledge", "resolve"}:
        assert event.keys() == {"routing_key", "event_action", "dedup_key"}


def test_without_a_way_to_the_collector_there_are_no_links() -> None:
    event = pagerduty.render("trigger", alert(), KEY, None)
    assert "links" not in event
    assert "client_url" not in event


def test_a_long_summary_is_cut_to_what_pagerduty_takes() -> None:
    event = pagerduty.render("trigger", alert(summary="ä" * 5000), KEY, URL)
    summary = event["payload"]["summary"]
    assert len(summary) == 1024
    assert summary.endswith("ä…")


def test_an_event_over_the_size_limit_loses_its_details_and_nothing_else() -> None:
    whole = pagerduty.render("trigger", alert(annotations={"evidence": "x" * 600_000}), KEY, URL)
    body = pagerduty.encode(whole)
    sent = json.loads(body)
    assert len(body) < 512_000
    assert "details left out" in sent["payload"]["custom_details"]["trimtab"]
    assert {**sent["payload"], "custom_details": 0} == {**whole["payload"], "custom_details": 0}


def test_an_event_within_the_size_limit_is_sent_whole() -> None:
    event = pagerduty.render("trigger", alert(annotations={"evidence": "x" * 500_000}), KEY, URL)
    assert json.loads(pagerduty.encode(event)) == event


def test_the_webhook_body_is_exactly_alertmanagers() -> None:
    body = webhook.render(alert(), "ops", URL)
    labels = {
        "alertname": "TrimtabLossSpike",
        "run": "run-1",
        "incident": "run-1.0",
        "kind": "loss_spike",
        "metric": "loss",
        "severity": "critical",
    }
    assert body["alerts"] == [
        {
            "status": "firing",
            "labels": labels,
            "annotations": alert().annotations,
            "startsAt": "2023-11-14T22:13:20.000Z",
            "endsAt": "0001-01-01T00:00:00Z",
            "generatorURL": f"{URL}/runs/run-1",
            "fingerprint": alert().id[:16],
        }
    ]
    assert {name: value for name, value in body.items() if name != "alerts"} == {
        "receiver": "ops",
        "status": "firing",
        "groupLabels": {"incident": "run-1.0", "run": "run-1"},
        "commonLabels": labels,
        "commonAnnotations": alert().annotations,
        "externalURL": URL,
        "version": "4",
        "groupKey": '{}:{incident="run-1.0", run="run-1"}',
        "truncatedAlerts": 0,
    }


def test_a_resolved_webhook_body_says_when() -> None:
    body = webhook.render(alert(state="resolved", ends_at=1_700_000_060.0), "ops", None)
    assert (body["status"], body["alerts"][0]["status"]) == ("resolved", "resolved")
    assert body["alerts"][0]["endsAt"] == "2023-11-14T22:14:20.000Z"
    assert (body["externalURL"], body["alerts"][0]["generatorURL"]) == ("", "")


def test_the_signature_is_the_hmac_of_the_bytes_sent() -> None:
    wanted = hmac.new(b"key", b"{}", hashlib.sha256).hexdigest()
    assert webhook.signature(b"{}", "key") == f"sha256={wanted}"


def test_the_console_line_says_when_what_how_bad_which_run() -> None:
    line = console.render("trigger", alert())
    assert line == (
        "2023-11-14T22:13:20.000Z trimtab ALERT critical run-1: loss is 11.2 at step 42, expected 2.9 "
        f"[{alert().id}]"
    )
    assert " RESOLVED " in console.render("resolve", alert(state="resolved", ends_at=1_700_000_060.0))


def test_the_console_line_is_one_line_and_moves_no_cursor() -> None:
    line = console.render("trigger", alert(summary="a\nb\x1b[2J\rc"))
    assert line.isprintable()
    assert r"a\nb\x1b[2J\rc" in line


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


@pytest.mark.parametrize(("stream", "coloured"), [(io.StringIO(), False), (Terminal(), True)])
def test_the_console_is_in_colour_to_a_person_and_plain_to_a_pipe(
    stream: io.StringIO, coloured: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("NO_COLOR", raising=False)
    assert isinstance(ConsoleNotifier(stream).notify(sample_delivery()), Ok)
    assert ("\x1b[" in stream.getvalue()) is coloured
    assert stream.getvalue().count("\n") == 1


def test_no_color_is_obeyed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_COLOR", "1")
    terminal = Terminal()
    ConsoleNotifier(terminal).notify(sample_delivery())
    assert "\x1b[" not in terminal.getvalue()


def test_a_console_that_is_gone_is_told_as_such() -> None:
    stream = io.StringIO()
    stream.close()
    assert isinstance(ConsoleNotifier(stream).notify(sample_delivery()), Permanent)
