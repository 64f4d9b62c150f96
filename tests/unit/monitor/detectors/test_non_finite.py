"""What is not finite: told once, until each metric of each rank has recovered or the rank is gone."""

from __future__ import annotations

import math
from collections.abc import Iterable

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trimtab_monitor.detectors.non_finite import SILENT_STEPS, NonFinite
from trimtab_monitor.types import Sample

Row = dict[str, float]
NAN, INF = math.nan, math.inf


def told(
    rows: Iterable[Row], detector: NonFinite | None = None, rank: int = 0, start: int = 0
) -> list[tuple[int, str, str]]:
    detector = NonFinite() if detector is None else detector
    samples = [Sample(step, 0.0, row, rank=rank) for step, row in enumerate(rows, start=start)]
    found = [detector.update(sample) for sample in samples]
    return [(each.step, each.severity, each.metric) for each in found if each is not None]


def every(row: Row, steps: int, name: str, value: float) -> Row:
    return row | ({name: value} if steps == 0 else {})


def test_a_scale_that_is_logged_now_and_then_excuses_an_overflow() -> None:
    rows = [
        every({"loss": 2.0, "grad_norm": INF if step == 101 else 1.0}, step % 10, "loss_scale", 65536.0)
        for step in range(200)
    ]
    assert told(rows) == [(101, "info", "grad_norm")]


MASKED: Row = {"loss": NAN, "grad_norm": NAN, "step_masked": 1.0}
GOOD: Row = {"loss": 2.0, "grad_norm": 1.0, "step_masked": 0.0}


def test_a_masked_step_is_a_mark_until_there_are_five_in_a_row() -> None:
    assert told([GOOD, MASKED, GOOD, MASKED, MASKED, GOOD]) == [(1, "info", "loss"), (3, "info", "loss")]
    assert told([GOOD, *[MASKED] * 30]) == [
        (1, "info", "loss"),
        (5, "warning", "loss"),
        (20, "critical", "loss"),
    ]


def test_a_masked_step_is_told_as_such() -> None:
    detector = NonFinite()
    finding = detector.update(Sample(0, 0.0, MASKED))
    assert finding is not None
    assert finding.evidence["masked"] is True


@pytest.mark.parametrize("bad", [{"loss": NAN}, {"grad_norm": INF}])
def test_what_is_not_masked_is_critical_whatever_was_before(bad: Row) -> None:
    rows = [GOOD, MASKED, GOOD | bad]
    assert told(rows)[-1][:2] == (2, "critical")
    assert told(rows[:1] + rows[2:])[-1][:2] == (1, "critical")


def test_layers_of_a_masked_step_are_a_mark_too() -> None:
    layers = {"loss": 2.0, "grad_norm/a": NAN, "grad_norm/b": 1.0, "step_masked": 1.0}
    assert told([GOOD | {"grad_norm/a": 1.0}, layers]) in ([], [(1, "info", "grad_norm/a")])
    assert told([layers]) == [(0, "info", "grad_norm/a")]


def test_a_rare_gradient_norm_that_is_bad_for_good_is_told_once() -> None:
    detector = NonFinite()
    rows = [every({"loss": 2.0}, step % 20, "grad_norm", 1.0 if step < 100 else NAN) for step in range(400)]
    assert told(rows, detector) == [(100, "critical", "grad_norm")]
    assert detector.active
    assert told([{"loss": 2.0, "grad_norm": 1.0}], detector) == []
    assert not detector.active


def test_a_loss_that_turns_bad_is_told_though_less_grave_trouble_lasts() -> None:
    detector = NonFinite()
    assert told([{"loss": 2.0, "eval_loss": 2.0}, {"loss": 2.0, "eval_loss": NAN}], detector) == [
        (1, "warning", "eval_loss")
    ]
    assert told([{"loss": NAN}, {"loss": 2.0}, {"loss": INF}], detector, start=2) == [
        (2, "critical", "loss"),
        (4, "critical", "loss"),
    ]
    assert detector.active
    told([{"loss": 2.0, "eval_loss": 2.0}], detector, start=5)
    assert not detector.active


def test_trouble_that_lasts_does_not_add_up_with_overflows_now_and_then() -> None:
    rows = [{"loss": 2.0, "grad_norm": 1.0, "eval_loss": 2.0, "loss_scale": 2.0**15}]
    rows += [{"loss": 2.0, "grad_norm": 1.0 if step % 9 else INF, "eval_loss": NAN} for step in range(1, 300)]
    assert told(rows) == [(1, "warning", "eval_loss")]


def test_a_rank_that_died_bad_is_forgotten() -> None:
    detector = NonFinite()
    assert told([{"loss": NAN}], detector, rank=3) == [(0, "critical", "loss")]
    told([{"loss": 2.0}] * SILENT_STEPS, detector, start=1)
    assert detector.active
    told([{"loss": 2.0}], detector, start=SILENT_STEPS + 1)
    assert not detector.active


def test_a_bad_rank_that_goes_on_is_not_forgotten_however_seldom_it_sends_its_norm() -> None:
    detector = NonFinite()
    told([{"loss": 2.0, "grad_norm": NAN}], detector, rank=3)
    for step in range(1, 500):
        for rank in range(4):
            assert detector.update(Sample(step, 0.0, {"loss": 2.0}, rank=rank)) is None
    assert detector.active


def test_an_evaluation_that_is_not_finite_warns() -> None:
    rows = [every({"loss": 2.0}, step % 50, "eval_loss", INF if step == 150 else 2.0) for step in range(300)]
    assert told(rows) == [(150, "warning", "eval_loss")]


def test_a_logger_that_sends_nan_where_it_has_not_evaluated_is_silent() -> None:
    rows = [{"loss": 2.0, "eval_loss": NAN if step % 50 else 2.0} for step in range(1, 300)]
    assert told(rows) == []


@pytest.mark.parametrize("value", [NAN, INF])
def test_a_layer_counts_where_the_whole_norm_is_not_sent(value: float) -> None:
    fine = {"loss": 2.0, "grad_norm/a": 1.0, "grad_norm/b": 1.0}
    bad = fine | {"grad_norm/b": value}
    detector = NonFinite()
    assert told([fine, bad, bad, fine, bad], detector) == [
        (1, "critical", "grad_norm/b"),
        (4, "critical", "grad_norm/b"),
    ]
    told([fine], detector, start=5)
    assert not detector.active
    assert told([fine | {"grad_norm": 1.0}, bad]) == []


def test_large_norms_whose_sum_is_infinite_are_finite() -> None:
    assert told([{"grad_norm/a": 1e308, "grad_norm/b": 1e308}]) == []


ANY = st.floats(allow_nan=True, allow_infinity=True)
NAMES = st.sampled_from(["loss", "grad_norm", "eval_loss", "loss_scale", "grad_norm/a", "lr"])


@given(
    st.lists(
        st.tuples(st.integers(0, 3), st.integers(0, 50), st.dictionaries(NAMES, ANY, max_size=4)), max_size=60
    )
)
def test_whatever_comes_findings_are_in_order_and_the_state_goes_on(
    rows: list[tuple[int, int, Row]],
) -> None:
    detector, copy = NonFinite(), NonFinite()
    for rank, step, values in rows:
        sample = Sample(step, 0.0, values, rank=rank)
        finding = detector.update(sample)
        assert repr(copy.update(sample)) == repr(finding)
        copy = msgspec.msgpack.decode(msgspec.msgpack.encode(copy), type=NonFinite)
        if finding is not None:
            assert finding.onset_step <= finding.step
            assert not math.isfinite(values[finding.metric])
            assert detector.active
        assert all(detector.bad.values())
        assert detector.bad.keys() == detector.told.keys() == detector.heard.keys()
    detector.rewind(0)
    assert not detector.active
