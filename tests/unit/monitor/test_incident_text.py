"""The sentences in which incidents are told, word for word."""

from __future__ import annotations

import math
from typing import Any

import pytest

from trimtab_monitor.causes import cause_of
from trimtab_monitor.incident_text import describe
from trimtab_monitor.kind_text import named
from trimtab_monitor.kinds import KINDS
from trimtab_monitor.testing.incidents import a_finding, an_incident
from trimtab_monitor.types import Incident

LAYER = "grad_norm/layers.3"


def told(incident: Incident) -> str:
    incident.evidence["cause"] = cause_of(incident).as_json()
    return describe(incident)


def test_a_spike_is_told_with_what_came_first_and_how_far_it_reaches() -> None:
    incident = an_incident(
        start_step=41_199,
        step=41_203,
        findings=[
            a_finding("grad_explosion", "grad_norm", 41_199),
            a_finding("loss_spike", "loss", 41_203),
        ],
        lr_before=1e-3,
        lr_now=1e-3,
        extent="all",
        ranks_known=8,
    )
    incident.peak_step = 41_203
    assert told(incident) == (
        "loss 2.10 -> 5.10 at step 41,203, 14 times the usual noise; gradient norm rose 4 steps earlier; "
        "learning rate unchanged; all 8 ranks; "
        "possible cause: learning rate (gradient norm rose 4 steps before the loss)"
    )


def test_a_rate_that_jumped_is_told_once_as_the_cause() -> None:
    incident = an_incident(lr_before=1e-3, lr_now=3e-2, lr_jump_step=99, lr_jump_factor=30.0)
    assert told(incident) == (
        "loss 2.10 -> 5.10 at step 100, 14 times the usual noise; "
        "likely cause: learning rate (it rose 30 times at step 99)"
    )


@pytest.mark.parametrize(
    ("incident", "sentence"),
    [
        (
            an_incident(state="resolved", resolved_step=110, accepted=False),
            (
                "loss 2.10 -> 5.10 at step 100, 14 times the usual noise; "
                "possible cause: data (one step only, and back at once); back to normal by step 110"
            ),
        ),
        (
            an_incident(followed_by="run-1.2", state="resolved"),
            (
                "loss 2.10 -> 5.10 at step 100, 14 times the usual noise; cause unknown; "
                "told on as the next incident"
            ),
        ),
        (
            an_incident(value=-2.1, baseline=-3.0, peak=-2.1),
            "loss -3.00 -> -2.10 at step 100, 14 times the usual noise; cause unknown",
        ),
        (
            an_incident(severity="info", score=math.inf),
            "loss 2.10 -> 5.10 at step 100, far outside its usual noise",
        ),
        (an_incident(severity="info", score=math.nan), "loss 2.10 -> 5.10 at step 100"),
        (
            an_incident(extent="one", ranks_known=8),
            (
                "loss 2.10 -> 5.10 at step 100, 14 times the usual noise; rank 0 only, of 8; "
                "possible cause: data (one of 8 ranks only)"
            ),
        ),
        (
            an_incident("non_finite", value=math.nan, ranks=[3], extent="one", ranks_known=8),
            (
                "loss is NaN at step 100 on rank 3 only, of 8 (last finite value 2.10); "
                "possible cause: hardware (only rank 3 of 8: its device, or its data)"
            ),
        ),
        (
            an_incident("non_finite", value=math.inf, baseline=math.nan, ranks=[7, 1]),
            "loss is infinite at step 100 on ranks 1, 7; cause unknown",
        ),
        (
            an_incident("non_finite", severity="info", value=math.nan, seen={"masked": True}),
            (
                "loss is NaN at step 100 (last finite value 2.10); "
                "the step was masked, and the weights are unharmed"
            ),
        ),
        (
            an_incident("divergence", start_step=80, value=2.6),
            "loss creeps up since step 80: 2.10 -> 2.60 at step 100, 14 times the usual noise; cause unknown",
        ),
        (
            an_incident("level_shift", value=2.8, baseline=2.07),
            "loss settled at 2.80, 35 % above 2.07, since step 100; cause unknown",
        ),
        (
            an_incident("level_shift", value=-1.5, baseline=-2.0),
            "loss settled at -1.50, 0.5 above -2.00, since step 100; cause unknown",
        ),
        (
            an_incident(
                "exploding_layer", LAYER, findings=[a_finding("exploding_layer", LAYER, 100)], value=40.0
            ),
            "gradient norm of layers.3 2.10 -> 40.00 at step 100, 14 times the usual noise; cause unknown",
        ),
        (
            an_incident("dead_layer", LAYER, value=0.0, baseline=0.02, severity="warning"),
            (
                "gradient norm of layers.3 is zero since step 100 (it was 0.02): it learns next to nothing; "
                "cause unknown"
            ),
        ),
        (
            an_incident("vanishing_gradients", "grad_norm", value=1e-7, baseline=0.3),
            "gradients vanish since step 100: gradient norm 0.3 -> 1e-07 at step 100; cause unknown",
        ),
        (
            an_incident(
                "loss_scale_collapse",
                "loss_scale",
                value=1.0,
                baseline=65536.0,
                seen={"halvings": 16.0, "samples": 20},
            ),
            (
                "loss scale 65,536 -> 1.00 at step 100, halved 16 times within 20 samples: gradients "
                "overflow in half precision; likely cause: numeric (the loss scale collapsed)"
            ),
        ),
        (
            an_incident("plateau", severity="info", value=3.1, seen={"fall": -0.01, "fall_before": 0.4}),
            "loss has stopped falling since step 100: 3.10 at step 100, down 0 after 0.4 in the time before",
        ),
        (
            an_incident("overfitting", "eval_loss", value=2.4, baseline=2.1, seen={"best_step": 9_000}),
            (
                "evaluation loss rises while training loss falls: 2.10 -> 2.40 at step 100; best was at step "
                "9,000; likely cause: data (it learns its training data by heart)"
            ),
        ),
        (
            an_incident("throughput_drop", "step_seconds", value=0.5, baseline=0.3),
            (
                "a step takes 0.5 s, 1.7 times the usual 0.3 s, since step 100; "
                "possible cause: hardware (steps take longer, on the same work)"
            ),
        ),
        (
            an_incident(
                "straggler",
                "step_seconds",
                value=1.5,
                baseline=0.9,
                seen={"rank": 3, "factor": 1.667, "compared": 8},
            ),
            (
                "rank 3 takes 1.7 times as long as the median of 8 ranks, since step 100: 1.50 s a step, not "
                "0.9 s; possible cause: hardware (one rank is slower than the others)"
            ),
        ),
        (
            an_incident(
                "faulty_device",
                "power_w",
                value=300.0,
                baseline=600.0,
                seen={
                    "fault": "throttled",
                    "device": "GPU-7f",
                    "host": "node-4",
                    "power_w": 300.0,
                    "power_w_of_others": 600.0,
                    "temp_c": 88.0,
                    "temp_c_of_others": 70.0,
                },
            ),
            (
                "GPU-7f on node-4 is throttled, hotter than the others and drawing less power, since step "
                "100: 300 W (others 600 W), 88 °C (others 70 °C); "
                "likely cause: hardware (one device is not as the others)"
            ),
        ),
    ],
)
def test_each_kind_is_told_in_a_sentence(incident: Incident, sentence: str) -> None:
    assert told(incident) == sentence


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("value", [0.0, -1.0, 1e30, math.nan, math.inf])
@pytest.mark.parametrize("baseline", [0.0, -1.0, 1e-30, math.nan])
def test_a_sentence_needs_no_evidence_of_its_detector(kind: str, value: float, baseline: float) -> None:
    changes: dict[str, Any] = {"value": value, "baseline": baseline, "peak": value}
    assert told(an_incident(kind, LAYER, **changes))


def test_several_layers_are_told_by_their_number() -> None:
    findings = [a_finding("dead_layer", f"grad_norm/layers.{index}", 100) for index in range(4)]
    incident = an_incident("dead_layer", "grad_norm/layers.0", findings=findings, value=0.0)
    assert "and 3 other layers: it learns" in describe(incident)
    incident.evidence["seen"] = {"layers": 12}
    assert "and 11 other layers: it learns" in describe(incident)


@pytest.mark.parametrize(
    ("metric", "name"),
    [("eval_loss", "evaluation loss"), ("my/metric", "my/metric"), (LAYER, "gradient norm of layers.3")],
)
def test_a_metric_is_called_by_its_name(metric: str, name: str) -> None:
    assert named(metric) == name


def test_a_level_many_times_higher_is_told_in_times() -> None:
    tiny = an_incident("level_shift", value=1e-3, baseline=1.33e-8, peak=1e-3)
    assert describe(tiny).startswith("loss settled at 0.001, 7.5e+04 times 1.33e-08, since step 100")
    high = an_incident("level_shift", value=25.0, baseline=2.0, peak=25.0)
    assert describe(high).startswith("loss settled at 25.00, 12 times 2.00, since step 100")


def test_of_ranks_that_do_not_all_report_only_those_are_counted() -> None:
    odd = an_incident("non_finite", value=math.nan, ranks=[3], ranks_known=2, extent="one")
    assert "on rank 3 only, of the 2 that report" in told(odd)
    assert "only rank 3 of the 2 that report: its device, or its data" in told(odd)


def test_a_gradient_that_rose_first_is_dated_from_when_the_loss_went_wrong() -> None:
    incident = an_incident("non_finite", value=math.nan, peak=math.nan, score=math.inf, step=110)
    incident.evidence["findings"] = [
        a_finding("grad_explosion", "grad_norm", 100),
        a_finding("non_finite", "loss", 110),
    ]
    assert "gradient norm rose 10 steps earlier" in describe(incident)
