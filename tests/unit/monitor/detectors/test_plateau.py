"""A loss that stands still, beside all that only looks so."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Sequence

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trimtab_monitor.detectors.plateau import MOST_BLOCKS, Plateau
from trimtab_monitor.types import Finding, Sample


def power_law(
    seed: int, steps: int, power: float = 0.3, sigma: float = 0.02, stop: int | None = None
) -> list[float]:
    """A loss as language models have it; from step `stop` on it falls no further."""
    noise = random.Random(seed)
    last = steps if stop is None else stop
    return [2.0 + 4.0 * max(10, min(step, last)) ** -power + noise.gauss(0, sigma) for step in range(steps)]


def told(
    losses: Sequence[float],
    rate: Callable[[int], float] | None = None,
    detector: Plateau | None = None,
    start: int = 1,
) -> list[Finding]:
    detector = Plateau() if detector is None else detector
    found = []
    for step, loss in enumerate(losses, start=start):
        lr = {} if rate is None else {"lr": rate(step)}
        found.append(detector.update(Sample(step, 0.0, {"loss": loss} | lr)))
    return [finding for finding in found if finding is not None]


@pytest.mark.parametrize("power", [0.1, 0.3, 0.6, 1.0])
def test_a_loss_that_falls_ever_more_slowly_is_on_no_plateau(power: float) -> None:
    for seed in range(4):
        assert told(power_law(seed, 6000, power)) == []


def test_a_loss_that_stops_falling_is_told_once() -> None:
    (found,) = told(power_law(1, 12_000, stop=2000))
    assert found.severity == "info"
    assert 2000 < found.step < 3600
    assert 1200 < found.onset_step < 2600
    assert abs(found.evidence["fall"]) < 0.2 * found.evidence["fall_before"]


def test_a_short_run_is_silent() -> None:
    assert told(power_law(1, 999, stop=300)) == []


def test_a_loss_that_never_fell_is_silent() -> None:
    assert told([2.0 + random.Random(step).gauss(0, 0.1) for step in range(6000)]) == []


def test_a_constant_loss_is_silent() -> None:
    assert told([2.0] * 6000) == []


def test_the_natural_end_of_training_is_silent() -> None:
    def rate(step: int) -> float:
        return 1e-3 if step < 1900 else 1e-5

    assert told(power_law(1, 6000, stop=2000), rate) == []
    assert len(told(power_law(1, 6000, stop=2000), lambda _: 1e-3)) == 1


def test_a_rate_that_comes_now_and_then_will_do() -> None:
    detector, found = Plateau(), []
    for step, loss in enumerate(power_law(1, 6000, stop=2000), start=1):
        values = {"loss": loss} | ({"lr": 1e-3} if step % 7 == 0 else {})
        found.append(detector.update(Sample(step, 0.0, values)))
    assert sum(finding is not None for finding in found) == 1


def test_a_raised_learning_rate_excuses_a_loss_that_stands_still() -> None:
    assert told(power_law(1, 2900, stop=2000), lambda step: 1e-4 if step < 2000 else 1e-3) == []


def test_it_is_over_when_the_loss_falls_again() -> None:
    detector = Plateau()
    assert len(told(power_law(1, 4000, stop=2000), detector=detector)) == 1
    assert detector.active
    assert told([1.8 + 100.0 / step for step in range(4000, 5000)], detector=detector, start=4001) == []
    assert not detector.active


def test_spikes_do_not_make_or_hide_one() -> None:
    losses = power_law(1, 6000, stop=2000)
    for step in range(100, 6000, 900):
        losses[step] *= 50.0
    assert len(told(losses)) <= 1
    assert (
        told([loss * (50.0 if step % 900 == 0 else 1.0) for step, loss in enumerate(power_law(2, 6000))])
        == []
    )


def test_its_memory_does_not_grow() -> None:
    detector = Plateau()
    told(power_law(1, 40_000), detector=detector)
    assert len(detector.means) == len(detector.ends) == len(detector.rates) < MOST_BLOCKS
    assert len(msgspec.msgpack.encode(detector)) < 3000


def test_a_rollback_forgets_what_came_after() -> None:
    detector = Plateau()
    assert len(told(power_law(1, 4000, stop=2000), detector=detector)) == 1
    detector.rewind(1500)
    assert not detector.active
    assert detector.ends[-1] <= 1500
    assert told(power_law(1, 6000)[1500:], detector=detector, start=1501) == []


values = st.sampled_from([math.nan, math.inf, -math.inf, -1.0, 0.0, 1e-30, 1e30, 1e308, 2.0, 3])


@given(st.lists(st.tuples(st.integers(-99, 99), values, values), max_size=40))
def test_any_input_is_survived(rows: list[tuple[int, float, float]]) -> None:
    detector = Plateau()
    for _ in range(40):
        for step, loss, rate in rows:
            assert detector.update(Sample(step, 0.0, {"loss": loss, "lr": rate})) is None
    detector.rewind(0)
