"""Whatever detectors find, the book keeps to one open incident of a story, and goes on from where it was."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection
from typing import Any, get_args

import msgspec
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from trimtab_alerts.alert import AlertBook
from trimtab_monitor.cause_rules import CauseClass
from trimtab_monitor.incidents import IncidentBook
from trimtab_monitor.kinds import KINDS, breaks_the_run
from trimtab_monitor.types import Finding, Incident, Sample, Severity

VALUES = st.sampled_from([0.0, -3.0, 2.0, 5.1, 1e30, 1e-30, math.nan, math.inf])
METRICS = st.sampled_from(["loss", "grad_norm", "grad_norm/layers.3", "eval_loss", "loss_scale", "temp_c"])
SEVERITIES: tuple[Severity, ...] = ("info", "warning", "critical")


@st.composite
def findings(draw: st.DrawFn) -> Finding:
    step = draw(st.integers(0, 60))
    return Finding(
        kind=draw(st.sampled_from(sorted(KINDS))),
        metric=draw(METRICS),
        severity=draw(st.sampled_from(SEVERITIES)),
        step=step,
        time=float(step),
        onset_step=draw(st.integers(0, step)),
        value=draw(VALUES),
        expected=draw(VALUES),
        score=draw(VALUES),
        evidence=draw(st.sampled_from([{}, {"rank": 3}, {"device": "GPU-7f", "host": "node-4"}])),
    )


@st.composite
def moments(draw: st.DrawFn) -> tuple[Sample, list[Finding], set[str], bool]:
    sample = Sample(
        step=draw(st.integers(0, 60)),
        time=0.0,
        values=draw(st.dictionaries(METRICS, VALUES)),
        attempt=draw(st.integers(0, 2)),
        rank=draw(st.integers(0, 2)),
    )
    found = draw(st.lists(findings(), max_size=2))
    return sample, found, draw(st.sets(st.sampled_from(sorted(KINDS)))), draw(st.integers(0, 9)) == 0


def lasting_among(lasting: set[str]) -> Callable[[Collection[str]], bool]:
    return lambda kinds: not lasting.isdisjoint(kinds)


@settings(max_examples=100, deadline=None)
@given(st.lists(moments(), max_size=30))
def test_whatever_is_found_each_story_has_one_open_incident(
    given_: list[tuple[Sample, list[Finding], set[str], bool]],
) -> None:
    book, alerts = IncidentBook("r"), AlertBook("r")
    told: dict[str, Incident] = {}
    for sample, found, lasting, goes_back in given_:
        changed = book.observe(sample, found, lasting_among(lasting))
        if goes_back:
            changed += book.rolled_back("c1", max(0, sample.step - 10), 0.0)
        for incident in changed:
            told[incident.id] = incident
            alerts.observe(incident)
            assert incident.summary
            assert incident.evidence["cause"]["class"] in get_args(CauseClass)
    stories = [
        incident.kind if KINDS[incident.kind].story == "learning" else KINDS[incident.kind].story
        for incident in book.open
    ]
    assert len(stories) == len(set(stories))
    assert all(breaks_the_run(each.kind) or each.severity != "critical" for each in told.values())
    again = msgspec.msgpack.decode(msgspec.msgpack.encode(book), type=IncidentBook)
    assert msgspec.msgpack.encode(again) == msgspec.msgpack.encode(book)


@pytest.mark.parametrize("kind", KINDS)
def test_an_alert_of_each_kind_is_text_for_people(kind: str) -> None:
    evidence: dict[str, Any] = {
        "rank": 3,
        "host": "node-4",
        "slow_ranks": [3, 4],
        "of": {"a": 1.0},
        "none": None,
    }
    found = Finding(kind, "loss", "critical", 5, 5.0, 4, 5.1, 2.1, 14.0, evidence)
    book = IncidentBook("run-1")
    (incident,) = book.observe(Sample(5, 5.0, {"loss": 5.1}), [found], lambda kinds: True)
    (transition,) = AlertBook("run-1").observe(incident)
    alert = transition.alert
    assert alert.severity == ("critical" if breaks_the_run(kind) else "warning")
    assert alert.labels["alertname"] == "Trimtab" + kind.title().replace("_", "")
    assert [text for text in alert.annotations.values() if set(text) & set("{}[]")] == []
    assert alert.annotations["evidence_cause"].startswith("class ")
