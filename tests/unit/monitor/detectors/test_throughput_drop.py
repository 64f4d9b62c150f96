"""A run that has become slower, beside pauses, slow starts and clocks that are none."""

from __future__ import annotations

import math
import random
from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trimtab_monitor.detectors.throughput_drop import ThroughputDrop
from trimtab_monitor.types import Finding, Sample

CLOCK = 1.7e9


def paces(seed: int, steps: int, seconds: float = 2.0, sigma: float = 0.05) -> list[float]:
    noise = random.Random(seed)
    return [seconds * noise.lognormvariate(0, sigma) for _ in range(steps)]


def told(
    seconds: Iterable[float],
    detector: ThroughputDrop | None = None,
    tokens: float | None = None,
    start: int = 1,
) -> list[Finding]:
    detector = ThroughputDrop() if detector is None else detector
    more = {} if tokens is None else {"tokens": tokens}
    found = [
        detector.update(Sample(step, 0.0, {"step_seconds": each} | more))
        for step, each in enumerate(seconds, start=start)
    ]
    return [finding for finding in found if finding is not None]


def by_the_clock(
    seconds: Iterable[float], start: float = CLOCK, every: int = 1, resolution: float = 0.0
) -> list[Finding]:
    detector, time, found = ThroughputDrop(), start, []
    for step, each in enumerate(seconds, start=1):
        time += each
        if step % every == 0:
            shown = math.floor(time / resolution) * resolution if resolution else time
            found.append(detector.update(Sample(step, shown, {"loss": 2.0})))
    return [finding for finding in found if finding is not None]


def test_a_slower_run_is_told_once() -> None:
    (found,) = told(paces(1, 400) + paces(2, 800, seconds=3.2))
    assert (found.severity, found.metric) == ("warning", "step_seconds")
    assert 395 <= found.onset_step <= 408
    assert found.step <= 400 + 48
    assert found.value == pytest.approx(3.2, rel=0.05)
    assert found.expected == pytest.approx(2.0, rel=0.05)


def test_a_small_drop_is_not_told() -> None:
    assert told(paces(1, 400) + paces(2, 800, seconds=2.4)) == []


def test_a_faster_run_is_not_told() -> None:
    assert told(paces(1, 400) + paces(2, 800, seconds=1.0)) == []


def test_pauses_for_checkpoints_and_evaluations_are_not_told() -> None:
    seconds = [120.0 if step % 25 == 0 else each for step, each in enumerate(paces(1, 3000))]
    assert told(seconds) == []


def test_a_slow_start_is_neither_told_nor_learned() -> None:
    (found,) = told(paces(1, 30, seconds=30.0) + paces(2, 300) + paces(3, 60, seconds=3.2))
    assert found.expected == pytest.approx(2.0, rel=0.05)


def test_slowing_down_little_by_little_is_told() -> None:
    assert len(told([each * (1 + step / 4000) for step, each in enumerate(paces(1, 4000))])) == 1


def test_a_noisy_run_sets_its_own_limit() -> None:
    noisy = paces(1, 20_000, sigma=0.8)
    assert told(noisy) == []


def test_short_steps_must_be_slow_for_a_minute() -> None:
    assert told(paces(1, 400, seconds=0.01) + paces(2, 2000, seconds=0.02)) == []
    assert len(told(paces(1, 400, seconds=0.01) + paces(2, 4000, seconds=0.04))) == 1


def test_more_tokens_a_step_are_no_slower_run() -> None:
    detector = ThroughputDrop()
    assert told(paces(1, 400), detector, tokens=1e6) == []
    assert told(paces(2, 400, seconds=4.0), detector, tokens=2e6, start=401) == []
    (found,) = told(paces(3, 400, seconds=8.0), detector, tokens=2e6, start=801)
    assert found.value == pytest.approx(8.0, rel=0.05)
    assert found.expected == pytest.approx(4.0, rel=0.05)
    assert found.evidence["tokens_per_second"] == pytest.approx(2.5e5, rel=0.05)


def test_it_recovers() -> None:
    detector = ThroughputDrop()
    assert len(told(paces(1, 400) + paces(2, 100, seconds=4.0), detector)) == 1
    assert detector.active
    assert told(paces(3, 64), detector, start=501) == []
    assert not detector.active
    assert len(told(paces(4, 64, seconds=4.0), detector, start=565)) == 1


def test_a_new_speed_becomes_normal_and_a_further_drop_is_told() -> None:
    detector = ThroughputDrop()
    assert len(told(paces(1, 400) + paces(2, 2100, seconds=4.0), detector)) == 1
    assert not detector.active
    assert len(told(paces(3, 100, seconds=8.0), detector, start=2501)) == 1


def test_where_no_step_seconds_come_the_clock_tells() -> None:
    assert by_the_clock(paces(1, 2000)) == []
    (found,) = by_the_clock(paces(1, 400) + paces(2, 200, seconds=3.2))
    assert found.value == pytest.approx(3.2, rel=0.05)


def test_a_coarse_clock_and_sparse_samples_will_do() -> None:
    assert by_the_clock(paces(1, 8000, seconds=0.3), resolution=1.0) == []
    (found,) = by_the_clock(paces(1, 8000) + paces(2, 1000, seconds=4.0), every=10, resolution=1.0)
    assert found.value == pytest.approx(4.0, rel=0.1)


def test_row_numbers_are_no_clock() -> None:
    rows = [
        Sample(step, float(row), {"loss": 2.0})
        for row, step in enumerate([*range(0, 9000, 10), *range(9000, 12000)])
    ]
    detector = ThroughputDrop()
    assert [found for row in rows if (found := detector.update(row))] == []


def test_a_rollback_keeps_what_is_usual_and_forgives_a_slow_start() -> None:
    detector = ThroughputDrop()
    told(paces(1, 400), detector)
    detector.rewind(300)
    assert told(paces(2, 30, seconds=20.0) + paces(3, 100), detector, start=301) == []
    assert len(told(paces(4, 40, seconds=4.0), detector, start=431)) == 1


@given(
    st.lists(
        st.tuples(
            st.integers(-10, 10),
            st.sampled_from([math.nan, math.inf, -1.0, 0.0, 1e-30, 1e30, 1.0, 5e-324, 1e308]),
            st.sampled_from([math.nan, 0.0, 1e-300, 1e300, 1.0]),
        ),
        max_size=300,
    )
)
def test_any_input_is_survived(rows: list[tuple[int, float, float]]) -> None:
    detector = ThroughputDrop()
    for step, seconds, tokens in rows:
        detector.update(Sample(step, CLOCK, {"step_seconds": seconds, "tokens": tokens}))


@pytest.mark.parametrize("odd", [1e-320, 0.0, -1.0, 1e7, 1e308, math.inf, math.nan])
def test_seconds_that_no_step_takes_are_passed_over(odd: float) -> None:
    assert told([*paces(1, 200), *[odd] * 400]) == []
    (found,) = told([*paces(1, 200), *[odd] * 400, *paces(2, 100, seconds=4.0)])
    assert found.value == pytest.approx(4.0, rel=0.1)


@pytest.mark.parametrize("odd", [1e-320, 1e308])
def test_tokens_that_no_step_has_are_passed_over(odd: float) -> None:
    assert told(paces(1, 400), tokens=odd) == []
