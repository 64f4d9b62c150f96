"""A loss scale that collapses, beside all that a healthy scaler does."""

from __future__ import annotations

import math
import random
from collections.abc import Iterable

from hypothesis import given
from hypothesis import strategies as st

from trimtab_monitor.detectors.loss_scale_collapse import LossScaleCollapse
from trimtab_monitor.types import Finding, Sample


def told(scales: Iterable[float], detector: LossScaleCollapse | None = None, every: int = 1) -> list[Finding]:
    detector = LossScaleCollapse() if detector is None else detector
    found = [
        detector.update(Sample(step * every, 0.0, {"loss_scale": scale}))
        for step, scale in enumerate(scales, start=1)
    ]
    return [finding for finding in found if finding is not None]


def scaler(
    seed: int, steps: int, overflow: float, start: float = 65536.0, best: float = 2.0**13
) -> list[float]:
    """A dynamic scaler: it overflows above `best`, and by chance; it doubles after 2,000 clean steps."""
    chance, scale, clean, scales = random.Random(seed), start, 0, []
    for _ in range(steps):
        scales.append(scale)
        clean += 1
        if scale > best or chance.random() < overflow:
            scale, clean = scale / 2, 0
        elif clean >= 2000:
            scale, clean = scale * 2, 0
    return scales


def test_a_healthy_scaler_is_silent() -> None:
    for seed in range(10):
        assert told(scaler(seed, 20_000, overflow=2e-4)) == []


def test_the_search_for_a_scale_at_the_start_is_silent() -> None:
    assert told(scaler(1, 500, overflow=0.0, start=2.0**32)) == []


def test_a_scaler_that_never_finds_a_scale_is_critical() -> None:
    (found,) = told([65536.0 / 2**i for i in range(30)])
    assert (found.severity, found.step, found.value) == ("critical", 18, 0.5)


def test_a_collapse_is_told_at_its_fifth_halving() -> None:
    scales = [*[8192.0] * 300, *(8192.0 / 2**i for i in range(1, 8)), *[64.0] * 30]
    (found,) = told(scales)
    assert (found.severity, found.step, found.onset_step) == ("warning", 305, 301)
    assert found.expected == 8192.0


def test_slow_halvings_are_no_collapse() -> None:
    scales = [8192.0 / 2 ** (i // 60) for i in range(600)]
    assert told(scales) == []


def test_below_one_is_a_warning_even_after_one_halving() -> None:
    (found,) = told([*[1.0] * 50, *[0.5] * 5])
    assert found.severity == "warning"


def test_a_constant_scale_below_one_is_as_it_was_set() -> None:
    assert told([0.25] * 500) == []


def test_sparse_samples_show_several_halvings_at_once() -> None:
    (found,) = told([*[8192.0] * 40, 1024.0, 128.0], every=10)
    assert found.evidence["halvings"] == 6.0


def test_a_scale_set_by_hand_is_no_collapse() -> None:
    assert told([*[65536.0] * 100, *[16.0] * 100]) == []


def test_it_is_over_when_the_scale_rises_or_settles() -> None:
    fallen = [*[8192.0] * 50, *(8192.0 / 2**i for i in range(1, 7))]
    for after in ([128.0, 128.0, 256.0, 512.0], [128.0] * 201):
        detector = LossScaleCollapse()
        assert len(told(fallen, detector)) == 1
        assert detector.active
        assert told(after, detector) == []
        assert not detector.active


def test_a_rollback_forgets_the_fall() -> None:
    detector = LossScaleCollapse()
    assert len(told([*[8192.0] * 50, *(8192.0 / 2**i for i in range(1, 7))], detector)) == 1
    detector.rewind(40)
    assert not detector.active
    assert told([8192.0] * 50, detector) == []


@given(
    st.lists(
        st.tuples(
            st.integers(-10, 10),
            st.sampled_from([math.nan, math.inf, -1.0, 0.0, 1e-30, 1e30, 1.0, 2.0, 0.5, 65536.0, 5e-324]),
        )
    )
)
def test_any_input_is_survived(rows: list[tuple[int, float]]) -> None:
    detector = LossScaleCollapse()
    for step, scale in rows:
        found = detector.update(Sample(step, 0.0, {"loss_scale": scale}))
        assert found is None or math.isfinite(found.score)


def test_a_collapse_is_never_told_of_more_samples_than_it_may_take() -> None:
    falls = [65536.0 / 2**fall for fall in range(1, 8)]
    for every in (24, 25, 26, 33):
        scales = [65536.0] * 60 + [scale for scale in falls for _ in range(every)]
        assert all(found.evidence["samples"] <= 100 for found in told(scales))
        assert (told(scales) == []) == (every > 24)


def test_a_scale_set_by_hand_is_told_only_below_one_and_not_as_halvings() -> None:
    assert told([65536.0] * 300 + [128.0] * 300) == []
    assert told([2.0] * 300 + [1.0] * 300) == []
    (found,) = told([1.0] * 300 + [0.5] * 300)
    assert (found.severity, found.value, found.evidence) == ("warning", 0.5, {})


def test_a_collapse_whose_steps_go_back_began_no_later_than_it_is_told() -> None:
    detector = LossScaleCollapse()
    assert told([65536.0] * 60 + [65536.0 / 2, 65536.0 / 4], detector) == []
    (found,) = told([65536.0 / 2**fall for fall in range(3, 7)], detector)
    assert found.onset_step <= found.step
