from __future__ import annotations

import math
from dataclasses import replace

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trimtab_alerts.alert import (
    REMEMBERED_RESOLVED,
    SEVERITY_RANK,
    Alert,
    AlertBook,
    AlertTransition,
    Severity,
    alert_id_of,
)
from trimtab_alerts.testing import SampleIncident
from trimtab_monitor.types import Incident


def told(book: AlertBook, incident: SampleIncident) -> list[str]:
    return [transition.action for transition in book.observe(incident)]


def test_an_incident_fires_once_and_resolves_once() -> None:
    book = AlertBook("run-1")
    incident = SampleIncident()
    assert told(book, incident) == ["trigger"]
    assert told(book, replace(incident, peak_step=43)) == []
    closed = replace(incident, state="resolved", end_step=60, resolved_at=incident.opened_at + 30)
    assert told(book, closed) == ["resolve"]
    assert book.alerts == {}
    assert told(book, closed) == []


def test_the_alert_tells_what_the_incident_knows() -> None:
    incident = SampleIncident(evidence={"expected": 2.9, "value": math.inf, "ranks": [0, 3]})
    (transition,) = AlertBook("run-1").observe(incident)
    alert = transition.alert
    assert (alert.run, alert.incident, alert.kind, alert.severity) == (
        "run-1",
        "run-1.0",
        "loss_spike",
        "critical",
    )
    assert (alert.state, alert.starts_at, alert.ends_at) == ("firing", incident.opened_at, None)
    assert alert.labels["alertname"] == "TrimtabLossSpike"
    assert alert.annotations["start_step"] == "40"
    assert alert.annotations["evidence_expected"] == "2.9"
    assert alert.annotations["evidence_value"] == "infinite"
    assert alert.annotations["evidence_ranks"] == "0, 3"


def test_an_info_incident_is_no_alert_until_it_worsens() -> None:
    book = AlertBook("run-1")
    incident = SampleIncident(severity="info")
    assert told(book, incident) == []
    assert told(book, replace(incident, state="resolved", resolved_at=1.0)) == []
    assert told(book, replace(incident, severity="warning")) == ["trigger"]


def test_a_severity_that_rises_is_told_and_one_that_falls_is_not() -> None:
    book = AlertBook("run-1")
    incident = SampleIncident(severity="warning")
    assert told(book, incident) == ["trigger"]
    (worse,) = book.observe(replace(incident, severity="critical"))
    assert (worse.action, worse.alert.severity) == ("update", "critical")
    assert worse.alert.labels["severity"] == "critical"
    assert told(book, incident) == []
    (end,) = book.observe(replace(incident, state="resolved", resolved_at=9.0))
    assert (end.action, end.alert.severity) == ("resolve", "critical")


def test_an_acknowledged_alert_fires_again_when_it_worsens() -> None:
    book = AlertBook("run-1")
    (fired,) = book.observe(SampleIncident(severity="warning"))
    (taken,) = book.ack(fired.alert.id, time=5.0)
    assert (taken.action, taken.alert.state, taken.alert.acknowledged_at) == (
        "acknowledge",
        "acknowledged",
        5.0,
    )
    assert book.ack(fired.alert.id, time=6.0) == []
    (worse,) = book.observe(SampleIncident(severity="critical"))
    assert worse.alert.state == "firing"


def test_acknowledging_what_is_not_open_does_nothing() -> None:
    assert AlertBook("run-1").ack("0" * 32, time=1.0) == []


def test_an_incident_seen_only_when_it_is_over_is_told_in_full() -> None:
    incident = SampleIncident(state="resolved", resolved_at=1_700_000_030.0, end_step=60)
    fired, resolved = AlertBook("run-1").observe(incident)
    assert (fired.action, fired.alert.state, fired.alert.ends_at) == ("trigger", "firing", None)
    assert (resolved.action, resolved.alert.state, resolved.alert.ends_at) == (
        "resolve",
        "resolved",
        1_700_000_030.0,
    )


def test_an_incident_that_reopens_is_told_again_under_its_key_with_a_new_ordinal() -> None:
    book = AlertBook("run-1")
    incident = SampleIncident()
    before = book.observe(incident) + book.observe(replace(incident, state="resolved", resolved_at=1.0))
    (again,) = book.observe(incident)
    assert again.action == "trigger"
    assert again.alert.dedup_key == before[0].alert.dedup_key
    assert again.ordinal > max(transition.ordinal for transition in before)


def test_the_key_is_the_same_in_every_process_and_differs_between_incidents() -> None:
    def key(run: str, incident: str) -> str:
        return AlertBook(run).observe(SampleIncident(id=incident))[0].alert.dedup_key

    assert key("run-1", "run-1.0") == "trimtab-209eb2e0b0684c59d8c5935fe2760d1c"
    assert len({key("a", "b.1"), key("a", "b.2"), key("ab", ".1"), key("a", "b.11")}) == 4
    assert len(key("r" * 128, "i" * 500)) <= 255


def test_the_book_stays_small_however_many_incidents_come() -> None:
    book = AlertBook("run-1")
    for number in range(3 * REMEMBERED_RESOLVED):
        incident = SampleIncident(id=f"run-1.{number}")
        book.observe(incident)
        book.observe(replace(incident, state="resolved", resolved_at=1.0))
    assert book.alerts == {}
    assert len(book.resolved) == REMEMBERED_RESOLVED


def test_the_annotations_stay_small_whatever_the_evidence() -> None:
    evidence = {f"key_{i}": "x" * 100_000 for i in range(1000)}
    (transition,) = AlertBook("run-1").observe(SampleIncident(evidence=evidence))
    assert len(msgspec.json.encode(transition.alert)) < 80_000


severities: st.SearchStrategy[Severity] = st.sampled_from(["info", "warning", "critical"])
changes = st.lists(
    st.tuples(st.integers(0, 3), severities, st.sampled_from(["open", "resolved", "ack"])), max_size=40
)


@given(changes, st.integers(0, 40))
def test_whatever_happens_the_story_of_each_alert_is_whole(
    happenings: list[tuple[int, Severity, str]], restart_at: int
) -> None:
    book = AlertBook("run-1")
    ordinals: list[int] = []
    open_alerts: dict[str, Alert] = {}
    for number, (which, severity, what) in enumerate(happenings):
        if number == restart_at:
            book = msgspec.msgpack.decode(msgspec.msgpack.encode(book), type=AlertBook)
        for transition in happen(book, which, severity, what):
            alert = transition.alert
            ordinals.append(transition.ordinal)
            was = open_alerts.pop(alert.id, None)
            assert (transition.action == "trigger") == (was is None)
            assert was is None or SEVERITY_RANK[alert.severity] >= SEVERITY_RANK[was.severity]
            if transition.action != "resolve":
                open_alerts[alert.id] = alert
    assert ordinals == list(range(1, len(ordinals) + 1))
    assert book.alerts == open_alerts
    assert all(alert.severity != "info" for alert in book.alerts.values())


def happen(book: AlertBook, which: int, severity: Severity, what: str) -> list[AlertTransition]:
    incident = SampleIncident(id=f"run-1.{which}", severity=severity)
    if what == "ack":
        return book.ack(alert_id_of("run-1", incident.id), time=1.0)
    if what == "resolved":
        incident = replace(incident, state="resolved", resolved_at=2.0)
    return book.observe(incident)


def test_the_api_shape_has_every_field_of_the_contract() -> None:
    (transition,) = AlertBook("run-1").observe(SampleIncident())
    shape = transition.alert.as_json()
    wanted = {"id", "run", "incident", "kind", "severity", "state", "summary"}
    assert wanted | {"starts_at", "ends_at", "labels", "annotations", "dedup_key"} <= shape.keys()


@pytest.mark.parametrize("state", ["open", "resolved"])
def test_a_collectors_incident_is_taken_as_it_is(state: str) -> None:
    incident = Incident(
        id="run-1.0",
        kind="divergence",
        severity="warning",
        metric="loss",
        start_step=1,
        detected_step=2,
        peak_step=2,
        end_step=None,
        state="open" if state == "open" else "resolved",
        summary="the loss diverges",
        evidence={},
    )
    assert AlertBook("run-1").observe(incident)[0].alert.kind == "divergence"
