"""What is said of an incident's cause: each rule alone, and what outweighs what."""

from __future__ import annotations

from typing import Any

import pytest

from trimtab_monitor.cause_rules import Reason
from trimtab_monitor.causes import UNKNOWN, cause_of, weigh
from trimtab_monitor.testing.incidents import a_finding, an_incident

BOTH_AT_ONCE = [a_finding("grad_explosion", "grad_norm", 100), a_finding("loss_spike", "loss", 100)]
GRADIENT_FIRST = [a_finding("grad_explosion", "grad_norm", 96), a_finding("loss_spike", "loss", 100)]
AGAIN = [a_finding("loss_spike", "loss", 100), a_finding("loss_spike", "loss", 100, attempt=1)]
ROLLED_BACK = [{"command": "c1", "to_step": 90, "time": 0.0}]


@pytest.mark.parametrize(
    ("evidence", "told"),
    [
        (
            {"lr_jump_step": 100, "lr_jump_factor": 30.0},
            ("learning_rate", "likely", ["it rose 30 times at step 100"]),
        ),
        ({"lr_before": 1e-3, "lr_now": 1.1e-3}, ("learning_rate", "possible", ["it was still rising"])),
        (
            {"findings": GRADIENT_FIRST},
            ("learning_rate", "possible", ["gradient norm rose 4 steps before the loss"]),
        ),
        (
            {"findings": AGAIN, "rollbacks": ROLLED_BACK * 2},
            (
                "learning_rate",
                "possible",
                ["bad again after 2 rollbacks, with other batches each time"],
            ),
        ),
        ({"findings": AGAIN}, ("data", "likely", ["step 100 is bad again in attempt 1"])),
        (
            {"bad_before": {"attempt": 0, "step": 1100}},
            ("data", "likely", ["step 1,100 was bad in attempt 0 too"]),
        ),
        (
            {"tokens_before": 4e6, "tokens_now": 1e6},
            ("data", "likely", ["tokens a step went 4,000,000 -> 1,000,000"]),
        ),
        (
            {"resumed_step": 98},
            ("data", "likely", ["the run was started again at step 98: data order or checkpoint"]),
        ),
        ({"extent": "one", "ranks_known": 8}, ("data", "possible", ["one of 8 ranks only"])),
        (
            {"loss_scale_before": 65536.0, "loss_scale_now": 16.0},
            ("numeric", "likely", ["loss scale 65,536 -> 16.00"]),
        ),
        ({"beside": ["faulty_device"]}, ("hardware", "likely", ["faulty device at the same time"])),
        ({"beside": ["straggler"]}, ("hardware", "possible", ["straggler at the same time"])),
        (
            {"step_seconds_before": 0.5, "step_seconds_now": 4.0},
            ("hardware", "possible", ["a step took 8 times as long"]),
        ),
        ({"lr_before": 1e-3, "lr_now": 1e-3}, ("unknown", "", [])),
        ({"lr_before": 1e-3, "lr_now": 0.9e-3, "extent": "all", "ranks_known": 8}, ("unknown", "", [])),
        ({"tokens_before": 4e6, "tokens_now": 4.01e6}, ("unknown", "", [])),
        ({"lr_jump_step": 120, "lr_jump_factor": 3.0}, ("unknown", "", [])),
    ],
)
def test_what_speaks_for_a_spike(evidence: dict[str, Any], told: tuple[str, str, list[str]]) -> None:
    cause = cause_of(an_incident(**evidence)).as_json()
    assert (cause["class"], cause["confidence"], cause["because"]) == told


@pytest.mark.parametrize(
    ("evidence", "told"),
    [
        (
            {"detectors": ["loss_scale_collapse", "non_finite"]},
            ("numeric", "likely", ("the loss scale collapsed",)),
        ),
        (
            {"grad_norm_before": 0.3, "grad_norm_highest": 12000.0},
            ("numeric", "likely", ("gradient norm had grown to 12,000",)),
        ),
        (
            {"extent": "all", "ranks_known": 8},
            ("numeric", "possible", ("not finite on all 8 ranks at once",)),
        ),
        (
            {"extent": "one", "ranks_known": 8, "ranks": [3]},
            ("hardware", "possible", ("only rank 3 of 8: its device, or its data",)),
        ),
        (
            {"extent": "one", "ranks_known": 8, "ranks": [3], "beside": ["faulty_device"]},
            (
                "hardware",
                "likely",
                ("faulty device at the same time", "only rank 3 of 8: its device, or its data"),
            ),
        ),
        ({"grad_norm_before": 0.3, "grad_norm_highest": 2.0}, ("unknown", "", ())),
        ({"extent": "some", "ranks_known": 8}, ("unknown", "", ())),
    ],
)
def test_what_speaks_for_a_value_that_is_not_finite(
    evidence: dict[str, Any], told: tuple[str, str, tuple[str, ...]]
) -> None:
    cause = cause_of(an_incident("non_finite", value=float("nan"), **evidence))
    assert (cause.kind, cause.confidence, cause.because) == told


@pytest.mark.parametrize(
    ("kind", "told"),
    [
        ("faulty_device", ("hardware", "likely")),
        ("straggler", ("hardware", "possible")),
        ("throughput_drop", ("hardware", "possible")),
        ("overfitting", ("data", "likely")),
        ("loss_scale_collapse", ("numeric", "likely")),
        ("plateau", ("unknown", "")),
        ("dead_layer", ("unknown", "")),
        ("vanishing_gradients", ("unknown", "")),
    ],
)
def test_what_a_kind_tells_by_itself(kind: str, told: tuple[str, str]) -> None:
    cause = cause_of(an_incident(kind))
    assert (cause.kind, cause.confidence) == told


def test_a_step_that_came_back_at_once_is_a_bad_batch_once_that_is_known() -> None:
    assert cause_of(an_incident(findings=BOTH_AT_ONCE)) == UNKNOWN
    over = cause_of(an_incident(findings=BOTH_AT_ONCE, state="resolved", accepted=False, held_samples=1))
    assert (over.kind, over.confidence) == ("data", "likely")
    alone = cause_of(an_incident(state="resolved", accepted=False))
    assert (alone.kind, alone.confidence) == ("data", "possible")


@pytest.mark.parametrize(
    "changes",
    [
        {"last_bad_step": 103},
        {"held_samples": 4},
        {"accepted": True},
        {"followed_by": "run-1.2"},
    ],
)
def test_what_lasted_is_no_single_bad_batch(changes: dict[str, Any]) -> None:
    assert cause_of(an_incident(state="resolved", **changes)) == UNKNOWN


def test_what_other_batches_cured_was_the_data_unless_the_rate_was_lowered_too() -> None:
    cured = an_incident(state="resolved", rollbacks=ROLLED_BACK)
    assert cause_of(cured).because == ("gone after going back and on with other batches",)
    cured.evidence["remedy"] = {"lr_factor": 0.5}
    assert cause_of(cured) == UNKNOWN


def test_a_throughput_drop_is_no_fault_of_a_machine_where_the_batch_grew() -> None:
    assert cause_of(an_incident("throughput_drop", tokens_before=1e6, tokens_now=2e6)) == UNKNOWN


def test_a_rate_that_jumped_outweighs_a_bad_batch() -> None:
    cause = cause_of(an_incident(state="resolved", lr_jump_step=99, lr_jump_factor=10.0))
    assert (cause.kind, cause.confidence) == ("learning_rate", "likely")


def test_a_class_is_only_possible_where_another_has_as_much() -> None:
    rate, data = Reason("learning_rate", 2, "a"), Reason("data", 2, "b")
    assert weigh([rate, data]).as_json() == {
        "class": "learning_rate",
        "confidence": "possible",
        "because": ["a"],
    }
    assert weigh([data, rate, Reason("data", 1, "c")]).because == ("b", "c")
    assert weigh([]) == UNKNOWN


def test_a_lead_of_one_sample_is_none_however_many_steps_it_spans() -> None:
    findings = [a_finding("grad_explosion", "grad_norm", 200), a_finding("loss_spike", "loss", 300)]
    assert cause_of(an_incident(findings=findings, row_steps=100)) == UNKNOWN
    assert cause_of(an_incident(findings=findings, row_steps=50)).kind == "learning_rate"


def test_a_slow_step_among_slow_steps_is_no_cause() -> None:
    slow: dict[str, Any] = {"step_seconds_before": 1.0, "step_seconds_now": 4.0}
    assert cause_of(an_incident(**slow)).kind == "hardware"
    assert cause_of(an_incident(**slow, step_seconds_strays=3.0)) == UNKNOWN
