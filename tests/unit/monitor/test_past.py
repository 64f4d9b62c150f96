"""What comes again and again is one story, and so is a rise in many steps."""

from __future__ import annotations

import math

import msgspec
import pytest

from trimtab_monitor.detectors import DetectorSet
from trimtab_monitor.incidents import IncidentBook
from trimtab_monitor.past import TOLD_EACH, climbed_far
from trimtab_monitor.types import Finding, Incident, Sample, Severity

LAST = f"r.{TOLD_EACH}"


class Story:
    """A book that is told what was found, step by step."""

    def __init__(self) -> None:
        self.book = IncidentBook("r")
        self.step = 0
        self.told: dict[str, Incident] = {}

    def see(self, loss: float, *found: Finding, active: bool = False) -> None:
        self.step += 1
        sample = Sample(self.step, float(self.step), {"loss": loss})
        for incident in self.book.observe(sample, found, lambda kind: active):
            self.told[incident.id] = incident

    def calm(self, samples: int, loss: float = 2.0) -> None:
        for _ in range(samples):
            self.see(loss)

    def event(
        self,
        kind: str = "loss_spike",
        severity: Severity = "warning",
        value: float = 5.0,
        score: float = 9.0,
        expected: float = 2.0,
        lasts: int = 1,
    ) -> None:
        step = self.step + 1
        found = Finding(kind, "loss", severity, step, 0.0, step, value, expected, score)
        self.see(value, found, active=True)
        for _ in range(lasts - 1):
            self.see(value, active=True)


def recurring(times: int, gap: int = 50) -> Story:
    story = Story()
    for _ in range(times):
        story.event()
        story.calm(gap)
    return story


def test_after_some_of_a_kind_the_next_are_told_in_the_last_of_them() -> None:
    story = recurring(6)
    assert [incident.start_step for incident in story.told.values()] == [1, 52, 103, 154]
    last = story.told[LAST]
    assert (last.detected_step, last.state, last.end_step) == (154, "resolved", 256)
    assert last.evidence["again_step"] == 256
    assert "; again at step 256, 6 times since step 1; " in last.summary


def test_it_is_open_again_until_it_is_over_again() -> None:
    story = recurring(TOLD_EACH)
    story.event()
    (again,) = story.book.open
    assert (again.id, again.state, again.end_step, again.resolved_at) == (LAST, "open", None, None)
    assert (again.bad_samples, again.clean_samples) == (1, 0)
    story.calm(9)
    assert story.book.open == [again]
    story.calm(1)
    assert (story.book.open, again.end_step) == ([], 205)


def test_what_is_much_graver_is_told_anew() -> None:
    story = recurring(TOLD_EACH + 1)
    story.event(score=20.0, value=9.0)
    story.calm(50)
    story.event(severity="critical", score=20.0)
    assert len(story.told) == TOLD_EACH + 2


def test_what_comes_back_long_after_is_told_anew() -> None:
    assert len(recurring(TOLD_EACH + 2, gap=600).told) == TOLD_EACH + 2


def test_what_the_run_was_taken_back_for_is_no_routine() -> None:
    story = Story()
    for _ in range(TOLD_EACH + 2):
        story.event()
        story.book.rolled_back("c", story.step, 0.0)
        story.calm(50)
    assert len(story.told) == TOLD_EACH + 2


def test_it_is_remembered_over_a_restart_of_the_collector() -> None:
    story = recurring(TOLD_EACH)
    for _ in range(3):
        packed = msgspec.msgpack.encode(story.book)
        story.book = msgspec.msgpack.decode(packed, type=IncidentBook)
        story.event()
        story.book = msgspec.msgpack.decode(msgspec.msgpack.encode(story.book), type=IncidentBook)
        story.calm(50)
    assert len(story.told) == TOLD_EACH
    assert story.told[LAST].evidence["times"] == TOLD_EACH + 3


def test_a_value_that_is_not_finite_now_and_then_is_told_some_times_only() -> None:
    detectors, book, told = DetectorSet(), IncidentBook("r"), dict[str, Incident]()
    for step in range(1, 1000):
        loss = math.nan if step > 100 and step % 15 == 0 else 2.0 + 0.01 * (step % 7)
        sample = Sample(step, float(step), {"loss": loss})
        for incident in book.observe(sample, detectors.update(sample), detectors.active):
            told[incident.id] = incident
    assert [incident.severity for incident in told.values()] == ["critical"] * TOLD_EACH


def climbing(*levels: float) -> Story:
    """Each level is told as a rise from the one before, and is then taken for normal."""
    story = Story()
    story.calm(100)
    before = 2.0
    for level in levels:
        story.event("divergence", value=level, expected=before, lasts=30)
        story.calm(30, loss=level)
        before = level
    return story


def test_a_rise_that_goes_on_is_told_from_where_it_began() -> None:
    story = climbing(2.2, 2.4, 2.6)
    first, second, third = story.told.values()
    assert [incident.evidence["accepted"] for incident in story.told.values()] == [True] * 3
    assert "in all" not in first.summary
    assert "; up from 2.00 at step 101 in all; " in second.summary
    assert "; up from 2.00 at step 101 in all; " in third.summary
    assert [each.severity for each in (first, second, third)] == ["warning", "warning", "critical"]


def test_a_rise_long_after_the_last_is_a_rise_of_its_own() -> None:
    story = climbing(2.2)
    story.calm(60, loss=2.2)
    story.event("divergence", value=2.6, expected=2.2, lasts=30)
    assert "climbed_from" not in story.told["r.2"].evidence


def test_a_spike_on_the_way_up_does_not_make_the_climb_critical() -> None:
    story = climbing(2.2)
    story.event("loss_spike", value=5.0, expected=2.2)
    incident = story.told["r.2"]
    assert (incident.evidence["climbed_from"], climbed_far(incident)) == (2.0, False)
    assert incident.severity == "warning"


@pytest.mark.parametrize("start", [0.0, -1.0])
def test_of_a_loss_that_is_not_positive_no_share_is_told(start: float) -> None:
    story = climbing(2.2)
    story.event("divergence", value=5.0, expected=2.3)
    story.told["r.2"].evidence["climbed_from"] = start
    assert not climbed_far(story.told["r.2"])
