"""What an alert says of an incident's evidence is text for people."""

from __future__ import annotations

import math
from typing import Any

import pytest

from trimtab_alerts.alert import AlertBook
from trimtab_alerts.evidence import CHARS, in_words
from trimtab_monitor.detectors import DetectorSet, DetectorSettings
from trimtab_monitor.incidents import IncidentBook
from trimtab_monitor.types import Sample

FINDING = {
    "kind": "loss_spike",
    "metric": "loss",
    "severity": "critical",
    "step": 42,
    "onset_step": 40,
    "value": 11.25,
    "expected": 2.9,
    "score": 31.0,
    "attempt": 0,
    "rank": 0,
}


@pytest.mark.parametrize(
    ("value", "told"),
    [
        ("text", "text"),
        (3, "3"),
        (2.94444444, "2.94444"),
        (math.nan, "not a number"),
        (-math.inf, "minus infinite"),
        (True, "yes"),
        (["loss_spike", "non_finite"], "loss_spike, non_finite"),
        (list(range(10)), "0, 1, 2, 3, 4, 5, 6, 7, and 2 more"),
        ([FINDING], "loss was 11.25 at step 42, expected 2.9"),
        (
            [FINDING, {**FINDING, "metric": "grad_norm", "value": math.nan, "expected": math.nan, "rank": 3}],
            "loss was 11.25 at step 42, expected 2.9; grad_norm was not a number at step 42, on rank 3",
        ),
        ([{"command": "c1", "to_step": 30, "time": 1.5}], "command c1, to step 30"),
        (
            {"class": "data", "confidence": "likely", "because": ["a", "b"]},
            "class data, confidence likely, because a, b",
        ),
        ({"class": "unknown", "confidence": "", "because": []}, "class unknown"),
    ],
)
def test_a_part_is_told_in_words(value: Any, told: str) -> None:
    assert in_words({"part": value}) == {"part": told}


def test_what_says_nothing_is_left_out_and_what_is_long_is_cut() -> None:
    assert in_words({"none": None, "heard": 1.7e9, "empty": [], "long": "x" * 5000}) == {"long": "x" * CHARS}


def test_no_annotation_of_a_real_incident_is_json() -> None:
    book, detectors = IncidentBook("run-1"), DetectorSet.build(DetectorSettings())
    sample = Sample(1, 1.0, {"loss": math.nan, "grad_norm": math.inf}, 0)
    (incident,) = book.observe(sample, detectors.update(sample), detectors.active)
    (transition,) = AlertBook("run-1").observe(incident)
    annotations = transition.alert.annotations
    assert "loss was not a number at step 1" in annotations["evidence_findings"]
    assert [
        text for text in annotations.values() if set(text) & set("{}[]") or "NaN" in text.split(",")
    ] == []
