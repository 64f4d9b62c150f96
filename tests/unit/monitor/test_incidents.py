"""Findings become incidents: joined, named, followed, resolved, and told in a sentence."""

from __future__ import annotations

import math
import random
from collections.abc import Collection

import msgspec
import pytest

from trimtab_monitor.detectors import DetectorSet
from trimtab_monitor.incident_text import is_accepted
from trimtab_monitor.incidents import IncidentBook, IncidentSettings
from trimtab_monitor.types import Finding, Incident, Sample, Severity


class Watch:
    """Detectors and book, as the fold runs them."""

    def __init__(self) -> None:
        self.detectors = DetectorSet()
        self.book = IncidentBook("run-1")
        self.incidents: dict[str, Incident] = {}

    def see(self, step: int, rank: int = 0, attempt: int = 0, **values: float) -> list[Incident]:
        sample = Sample(step, 100.0 + step, values, attempt, rank)
        changed = self.book.observe(sample, self.detectors.update(sample), self.detectors.active)
        self.incidents |= {incident.id: incident for incident in changed}
        return changed

    def settle(self, steps: int, first: int = 1, attempt: int = 0) -> None:
        noise = random.Random(first)
        for step in range(first, first + steps):
            loss, norm = 2.0 + noise.gauss(0, 0.04), 0.3 * noise.lognormvariate(0, 0.2)
            self.see(step, attempt=attempt, loss=loss, grad_norm=norm, lr=1e-3)


def finding(
    kind: str, step: int, severity: Severity = "warning", onset: int | None = None, value: float = 5.0
) -> Finding:
    metric = "grad_norm" if kind == "grad_explosion" else "loss"
    return Finding(
        kind, metric, severity, step, float(step), step if onset is None else onset, value, 2.0, 9.0
    )


def always(kinds: Collection[str]) -> bool:
    return bool(kinds)


def never(kinds: Collection[str]) -> bool:
    del kinds
    return False


def test_a_gradient_spike_and_the_loss_spike_after_it_are_one_incident() -> None:
    watch = Watch()
    watch.settle(100)
    losses = [2.02, 2.04, 2.6, 2.9, 5.1]
    norms = [0.3, 2.4, 16.0, 145.0, 960.0]
    for step, (loss, norm) in enumerate(zip(losses, norms, strict=True), start=101):
        watch.see(step, loss=loss, grad_norm=norm, lr=1e-3)
    (incident,) = watch.book.open
    assert (incident.id, incident.kind, incident.metric) == ("run-1.1", "loss_spike", "loss")
    assert (incident.start_step, incident.detected_step, incident.peak_step) == (102, 102, 105)
    assert (incident.severity, incident.state, incident.end_step) == ("critical", "open", None)
    assert incident.evidence["detectors"] == ["grad_explosion", "loss_spike"]
    assert incident.evidence["baseline"] == pytest.approx(2.0, abs=0.05)
    assert incident.summary.startswith("loss 2.0")
    assert "5.10 at step 105" in incident.summary
    assert incident.summary.endswith(
        "; gradient norm rose 1 step earlier; learning rate unchanged; "
        "possible cause: learning rate (gradient norm rose 1 step before the loss)"
    )


def test_an_incident_is_resolved_after_ten_clean_samples_with_the_last_bad_step_as_its_end() -> None:
    watch = Watch()
    watch.settle(100)
    for step in range(101, 105):
        watch.see(step, loss=4.0, grad_norm=0.3)
    watch.settle(9, first=105)
    (incident,) = watch.book.open
    watch.settle(1, first=114)
    assert (incident.state, incident.end_step, incident.resolved_at) == ("resolved", 104, 214.0)
    assert incident.summary.endswith("back to normal by step 114")
    assert watch.book.open == []


def test_a_level_that_stayed_up_is_told_as_accepted_and_not_as_back_to_normal() -> None:
    watch = Watch()
    watch.settle(100)
    for step in range(101, 260):
        watch.see(step, loss=8.0 + 0.01 * (step % 3), grad_norm=0.3)
    (incident,) = watch.incidents.values()
    assert (incident.state, incident.evidence["accepted"]) == ("resolved", True)
    assert "it stayed at 8.01 for " in incident.summary
    assert incident.summary.endswith(" samples, which is now taken as normal")


def test_a_spike_that_is_over_was_not_accepted() -> None:
    watch = Watch()
    watch.settle(100)
    for step in range(101, 105):
        watch.see(step, loss=4.0, grad_norm=0.3)
    watch.settle(10, first=105)
    (incident,) = watch.incidents.values()
    assert (incident.state, incident.evidence["accepted"]) == ("resolved", False)


@pytest.mark.parametrize(
    ("baseline", "peak", "settled", "accepted"),
    [
        (0.06, 5.1, 4.8, True),
        (0.06, 500.0, 4.8, True),
        (0.06, 5.1, 0.08, False),
        (2.0, 2.6, 2.5, True),
        (2.0, 2.6, 2.1, False),
        (-1.0, 3.0, -0.9, False),
        (2.0, math.inf, 2.1, False),
        (2.0, math.nan, 9.0, False),
        (math.nan, 5.0, 5.0, False),
    ],
)
def test_what_counts_as_accepted(baseline: float, peak: float, settled: float, accepted: bool) -> None:
    assert is_accepted(baseline, peak, settled) is accepted


def test_a_mark_is_over_after_three_clean_samples() -> None:
    watch = Watch()
    watch.settle(100)
    watch.see(101, loss=2.55, grad_norm=0.3)
    (mark,) = watch.book.open
    assert mark.severity == "info"
    watch.settle(3, first=102)
    assert (mark.state, mark.end_step) == ("resolved", 101)


def test_a_second_spike_later_is_a_second_incident() -> None:
    watch = Watch()
    watch.settle(100)
    watch.see(101, loss=8.0)
    watch.settle(40, first=102)
    watch.see(142, loss=8.0)
    assert list(watch.incidents) == ["run-1.1", "run-1.2"]


def test_loss_and_gradient_up_together_are_critical() -> None:
    book = IncidentBook("r")
    book.observe(Sample(5, 0.0, {"loss": 3.0}), [finding("grad_explosion", 5)], always)
    (incident,) = book.observe(Sample(6, 1.0, {"loss": 3.0}), [finding("loss_spike", 6)], always)
    assert incident.severity == "critical"


def test_nan_on_several_ranks_is_one_incident_that_names_them() -> None:
    watch = Watch()
    watch.settle(40)
    for rank in (3, 1, 7):
        watch.see(41, rank=rank, loss=math.nan)
    (incident,) = watch.book.open
    assert incident.evidence["ranks"] == [3, 1, 7]
    assert incident.summary.startswith("loss is NaN at step 41 on ranks 1, 3, 7 (last finite value ")
    assert incident.bad_samples == 1


def test_an_incident_on_another_rank_is_over_when_that_rank_is_well_again() -> None:
    watch = Watch()
    watch.settle(40)
    watch.see(41, rank=2, loss=math.nan)
    watch.settle(15, first=41)
    (incident,) = watch.book.open
    watch.see(55, rank=2, loss=2.0)
    watch.settle(10, first=56)
    assert incident.state == "resolved"


def test_after_a_rollback_the_incident_stays_open_and_takes_what_comes_again() -> None:
    watch = Watch()
    watch.settle(100)
    watch.see(101, loss=6.0, grad_norm=0.3, lr=1e-3)
    watch.see(102, loss=6.0, grad_norm=0.3, lr=1e-3)
    (changed,) = watch.book.rolled_back("run-1.c1", 90, 500.0)
    assert changed.summary.endswith("rolled back to step 90")
    assert (changed.bad_samples, changed.clean_samples) == (0, 0)
    watch.see(91, attempt=1, loss=7.0, grad_norm=0.3, lr=1e-3)
    watch.book.rolled_back("run-1.c2", 90, 501.0)
    watch.settle(10, first=91, attempt=2)
    (incident,) = watch.incidents.values()
    assert (incident.state, incident.start_step, incident.end_step) == ("resolved", 101, 102)
    assert [each["command"] for each in incident.evidence["rollbacks"]] == ["run-1.c1", "run-1.c2"]
    assert incident.peak_step == 101
    assert "rolled back to step 90 (2 times); back to normal by step 100" in incident.summary


def test_the_summary_tells_of_a_learning_rate_that_jumped() -> None:
    watch = Watch()
    watch.settle(100)
    watch.see(101, loss=2.0, grad_norm=0.3, lr=3e-2)
    watch.see(102, loss=6.0, grad_norm=0.3, lr=3e-2)
    (incident,) = watch.book.open
    assert incident.summary.endswith("; likely cause: learning rate (it rose 30 times at step 101)")
    assert incident.evidence["cause"]["class"] == "learning_rate"
    assert (incident.evidence["lr_before"], incident.evidence["lr_now"]) == (1e-3, 3e-2)


def test_a_step_that_comes_in_two_samples_is_counted_once() -> None:
    book = IncidentBook("r")
    book.observe(Sample(5, 0.0, {"loss": 3.0}), [finding("loss_spike", 5)], always)
    (incident,) = book.open
    book.observe(Sample(6, 1.0, {"loss": 3.0}), [], always)
    book.observe(Sample(6, 1.0, {"grad_norm": 3.0}), [], always)
    assert incident.bad_samples == 2
    for step in range(7, 12):
        book.observe(Sample(step, 1.0, {"tokens": 3.0}), [], never)
    assert incident.clean_samples == 0


def test_what_is_resolved_is_forgotten_but_for_the_last_and_the_book_serialises() -> None:
    watch = Watch()
    watch.settle(60)
    for round_ in range(30):
        first = 61 + 20 * round_
        watch.see(first, loss=9.0)
        watch.settle(19, first=first + 1)
    packed = msgspec.msgpack.encode(watch.book)
    assert len(packed) < 10_000
    assert msgspec.msgpack.decode(packed, type=IncidentBook) == watch.book


def test_an_open_incident_survives_serialisation() -> None:
    watch = Watch()
    watch.settle(60)
    watch.see(61, loss=math.inf)
    copy = msgspec.msgpack.decode(msgspec.msgpack.encode(watch.book), type=IncidentBook)
    assert copy == watch.book
    copy.observe(Sample(62, 0.0, {"loss": 2.0}), [finding("loss_spike", 62)], always)
    assert copy.open[0].severity == "critical"
    assert len(copy.open[0].evidence["findings"]) == 2


def test_special_incidents_stand_beside_and_are_opened_once() -> None:
    book = IncidentBook("r")
    hung = book.open_special("hung", "critical", 7, 10.0, "no step for 300 s", {"reason": "no new step"})
    again = book.open_special("hung", "critical", 7, 20.0, "no step for 310 s", {"reason": "no new step"})
    assert again is hung
    assert hung.summary == "no step for 310 s"
    book.observe(
        Sample(8, 30.0, {"loss": math.nan}), [finding("non_finite", 8, "critical", value=math.nan)], always
    )
    assert [incident.kind for incident in book.open] == ["hung", "non_finite"]
    closed = book.resolve(hung.id, 8, 31.0)
    assert (closed.state, closed.end_step, closed.resolved_at) == ("resolved", 8, 31.0)
    with pytest.raises(KeyError, match=r"r\.1"):
        book.resolve(hung.id, 8, 31.0)


def test_how_long_an_incident_is_watched_is_a_setting() -> None:
    book = IncidentBook("r", IncidentSettings(resolve_samples=2))
    book.observe(Sample(5, 0.0, {"loss": 3.0}), [finding("loss_spike", 5)], always)
    assert book.observe(Sample(6, 0.0, {"loss": 2.0}), [], never) == []
    assert book.observe(Sample(7, 0.0, {"loss": 2.0}), [], never)[0].state == "resolved"


def see(
    book: IncidentBook, step: int, *findings: Finding, active: Collection[str] = (), **values: float
) -> list[Incident]:
    sample = Sample(step, float(step), values or {"loss": 2.0, "grad_norm": 0.3})
    return book.observe(sample, findings, lambda kind: kind in active)


def about(kind: str, metric: str, step: int, severity: Severity = "warning", value: float = 5.0) -> Finding:
    return Finding(kind, metric, severity, step, float(step), step, value, 2.0, 9.0)


def test_each_story_has_an_open_incident_and_its_gravest_kind_names_it() -> None:
    book = IncidentBook("r")
    see(book, 5, about("plateau", "loss", 5), about("loss_spike", "loss", 5), loss=5.0)
    see(book, 6, about("overfitting", "eval_loss", 6), about("non_finite", "loss", 6, "critical"), loss=5.0)
    see(book, 7, about("faulty_device", "temp_c", 7), about("divergence", "loss", 7), loss=5.0)
    assert [(incident.id, incident.kind, incident.severity) for incident in book.open] == [
        ("r.1", "plateau", "warning"),
        ("r.2", "non_finite", "critical"),
        ("r.3", "overfitting", "warning"),
        ("r.4", "faulty_device", "warning"),
    ]


def test_a_dead_layer_hides_no_overfitting() -> None:
    book = IncidentBook("r")
    see(book, 5, about("dead_layer", "grad_norm/a", 5))
    best = Finding("overfitting", "eval_loss", "warning", 90, 9.0, 60, 2.4, 2.0, 9.0, {"best_step": 60})
    (overfitting,) = see(book, 90, best)
    assert (overfitting.kind, overfitting.start_step, overfitting.detected_step) == ("overfitting", 60, 90)
    assert overfitting.summary.endswith(
        "best was at step 60; likely cause: data (it learns its training data by heart)"
    )


def test_a_rollback_is_told_of_the_stability_incident_only() -> None:
    book = IncidentBook("r")
    see(book, 5, about("plateau", "loss", 5), about("loss_spike", "loss", 5), loss=5.0)
    (changed,) = book.rolled_back("c1", 2, 9.0)
    plateau, spike = book.open
    assert changed is spike
    assert (plateau.evidence["rollbacks"], len(spike.evidence["rollbacks"])) == ([], 1)


def test_a_mark_does_not_tell_the_story_of_something_graver() -> None:
    book = IncidentBook("r")
    see(book, 5, about("divergence", "loss", 5, "critical"))
    see(book, 6, about("loss_spike", "loss", 6, "info"))
    (incident,) = book.open
    assert (incident.kind, incident.severity) == ("divergence", "critical")
    see(book, 7, about("loss_spike", "loss", 7, "warning"))
    assert (incident.kind, incident.severity) == ("loss_spike", "critical")


def test_marks_in_the_calm_do_not_keep_something_graver_open() -> None:
    book = IncidentBook("r")
    see(book, 5, about("loss_spike", "loss", 5), active={"loss_spike"})
    (incident,) = book.open
    for step in range(6, 15):
        see(book, step)
    see(book, 15, about("grad_explosion", "grad_norm", 15, "info"), active={"grad_explosion"})
    assert (incident.state, incident.end_step) == ("resolved", 5)


def test_what_rare_samples_tell_of_is_counted_on_these() -> None:
    book = IncidentBook("r")
    see(book, 1000, about("overfitting", "eval_loss", 1000), active={"overfitting"}, eval_loss=5.0)
    for step in range(1001, 1100):
        see(book, step)
    assert [incident.clean_samples for incident in book.open] == [0]
    for step in (2000, 3000):
        assert see(book, step, eval_loss=2.0) == []
    (incident,) = see(book, 4000, eval_loss=2.0)
    assert (incident.state, incident.end_step) == ("resolved", 1000)


def test_what_no_row_holds_is_counted_on_the_loss() -> None:
    book = IncidentBook("r")
    see(book, 5, about("faulty_device", "temp_c", 5), active={"faulty_device"})
    for step in range(6, 30):
        see(book, step, active={"faulty_device"})
    (incident,) = book.open
    assert incident.bad_samples == 25
    for step in range(30, 40):
        see(book, step)
    assert incident.state == "resolved"


def test_a_second_spike_is_a_second_incident_though_a_drift_lasts() -> None:
    book = IncidentBook("r")
    see(book, 5, about("loss_spike", "loss", 5), active={"loss_spike"}, loss=5.0)
    see(book, 6, about("divergence", "loss", 6), active={"loss_spike", "divergence"}, loss=4.0)
    for step in range(7, 200):
        see(book, step, active={"divergence"}, loss=3.0)
    first, second = see(book, 200, about("loss_spike", "loss", 200), active={"loss_spike", "divergence"})
    assert (first.id, first.state, second.id, second.state) == ("r.1", "resolved", "r.2", "open")
    assert first.evidence["followed_by"] == "r.2"
    for step in range(201, 230):
        see(book, step, active={"divergence"}, loss=3.0)
    assert book.open == [second]
    for step in range(230, 240):
        see(book, step)
    assert book.open == []


def test_the_same_rise_told_as_graver_later_is_the_same_incident() -> None:
    book = IncidentBook("r")
    see(book, 5, finding("divergence", 5, onset=3))
    for step in range(6, 40):
        see(book, step, active={"divergence"})
    see(book, 40, finding("divergence", 40, "critical", onset=3, value=9.0), active={"divergence"})
    (incident,) = book.open
    assert (incident.id, incident.severity) == ("r.1", "critical")


def test_a_value_that_falls_is_worst_where_it_is_lowest() -> None:
    book = IncidentBook("r")
    falls = Finding("loss_scale_collapse", "loss_scale", "warning", 5, 5.0, 5, 256.0, 65536.0, 9.0)
    see(book, 5, falls, active={"loss_scale_collapse"}, loss_scale=256.0)
    for step, scale in ((6, 128.0), (7, 1.0), (8, 4.0)):
        see(book, step, active={"loss_scale_collapse"}, loss_scale=scale)
    (incident,) = book.open
    assert (incident.evidence["peak"], incident.peak_step) == (1.0, 7)


def test_nan_that_comes_and_goes_is_one_incident() -> None:
    watch = Watch()
    watch.settle(40)
    for first in range(41, 300, 30):
        for step in range(first, first + 25):
            watch.see(step, loss=math.nan)
        watch.settle(5, first=first + 25)
    assert list(watch.incidents) == ["run-1.1"]


def test_layers_that_explode_one_after_the_other_are_one_incident() -> None:
    book = IncidentBook("r")
    for index, first in enumerate((100, 150, 200)):
        metric = f"grad_norm/layers.{index}"
        see(book, first, about("exploding_layer", metric, first), active={"exploding_layer"}, **{metric: 5.0})
        for step in range(first + 1, first + 50):
            see(book, step, active={"exploding_layer"})
    assert [incident.id for incident in book.open] == ["r.1"]


def observe(
    book: IncidentBook, step: int, loss: float, *found: Finding, lasts: bool = False, attempt: int = 0
) -> list[Incident]:
    return book.observe(Sample(step, float(step), {"loss": loss}, attempt), found, always if lasts else never)


def test_a_level_that_noise_lifts_now_and_then_stayed_up() -> None:
    book, noise = IncidentBook("r"), random.Random(1)
    (incident,) = observe(book, 100, 2.6, finding("loss_spike", 100, value=2.6), lasts=True)
    for step in range(101, 160):
        observe(book, step, 2.2 + noise.gauss(0, 0.06), lasts=True)
    for step in range(160, 170):
        observe(book, step, 2.2 + noise.gauss(0, 0.06))
    assert (incident.state, incident.evidence["accepted"]) == ("resolved", True)
    assert incident.evidence["settled"] == pytest.approx(2.2, abs=0.06)


def test_a_spike_that_comes_down_slowly_has_come_back() -> None:
    book = IncidentBook("r")
    (incident,) = observe(book, 100, 5.0, finding("loss_spike", 100), lasts=True)
    for step in range(101, 130):
        observe(book, step, 2.0 + 3.0 * 0.9 ** (step - 100), lasts=True)
    for step in range(130, 140):
        observe(book, step, 2.02)
    assert (incident.state, incident.evidence["accepted"]) == ("resolved", False)


def test_a_restart_from_outside_ends_what_broke_the_run() -> None:
    book = IncidentBook("r")
    (first,) = observe(book, 300, 5.0, finding("loss_spike", 300), lasts=True)
    observe(book, 301, 5.0, lasts=True)
    (changed,) = observe(book, 200, 2.0, attempt=1)
    assert changed is first
    assert (first.state, first.start_step, first.peak_step, first.end_step) == ("resolved", 300, 300, 301)
    assert first.summary.endswith("; the run was started again at step 200")
    (second,) = observe(book, 203, 9.0, finding("loss_spike", 203, value=9.0), lasts=True, attempt=1)
    assert (second.id, second.attempt, second.start_step, second.peak_step) == ("r.2", 1, 203, 203)


def test_a_restart_at_the_next_step_goes_on_with_what_is_open() -> None:
    book = IncidentBook("r")
    observe(book, 300, 5.0, finding("loss_spike", 300), lasts=True)
    observe(book, 301, 5.0, lasts=True, attempt=1)
    assert [incident.id for incident in book.open] == ["r.1"]


def test_after_a_rollback_the_steps_stay_those_of_the_first_attempt() -> None:
    book = IncidentBook("r")
    (incident,) = observe(book, 300, 5.0, finding("grad_explosion", 300, value=9.0), lasts=True)
    book.rolled_back("c1", 200, 0.0)
    observe(book, 203, 9.0, finding("loss_spike", 203, value=9.0), lasts=True, attempt=1)
    for step in range(204, 230):
        observe(book, step, 2.0, attempt=1)
    assert (incident.kind, incident.state) == ("loss_spike", "resolved")
    assert (incident.start_step, incident.peak_step, incident.end_step) == (300, 300, 300)


def test_while_a_command_is_not_answered_a_restart_may_be_its_doing() -> None:
    book = IncidentBook("r")
    (incident,) = observe(book, 300, 5.0, finding("loss_spike", 300), lasts=True)
    incident.evidence["remedy"] = {"state": "pending"}
    observe(book, 200, 2.0, attempt=1)
    assert book.open == [incident]


def test_a_value_that_was_back_while_another_was_bad_has_come_back() -> None:
    watch = Watch()
    watch.settle(100)
    for step in range(101, 106):
        watch.see(step, loss=6.0, grad_norm=0.3)
    for step in range(106, 140):
        watch.see(step, loss=2.01, grad_norm=30.0)
    watch.settle(60, first=140)
    assert not any(incident.evidence["accepted"] for incident in watch.incidents.values())


@pytest.mark.parametrize(("slow_step", "beside"), [(95, ["throughput_drop"]), (40, None)])
def test_a_run_that_had_long_been_slow_is_no_clue(slow_step: int, beside: list[str] | None) -> None:
    book = IncidentBook("r")
    for step in range(1, 100):
        observe(
            book, step, 2.0, *([finding("throughput_drop", step)] if step == slow_step else []), lasts=True
        )
    observe(book, 100, 6.0, finding("loss_spike", 100), lasts=True)
    _, incident = book.open
    assert incident.evidence.get("beside") == beside
