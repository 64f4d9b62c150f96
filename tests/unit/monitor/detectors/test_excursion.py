"""Spikes in logs of every kind: young, sparse, rounded, written twice; and what is another event."""

from __future__ import annotations

import random
from collections.abc import Sequence

import pytest

from trimtab_monitor.detectors.excursion import Excursion, ExcursionSettings
from trimtab_monitor.detectors.loss_spike import LossSpike
from trimtab_monitor.types import Finding, Sample

Told = list[tuple[str, int, int]]


def quiet(count: int, seed: int = 1, level: float = 2.0, sigma: float = 0.02) -> list[float]:
    noise = random.Random(seed)
    return [level + noise.gauss(0, sigma) for _ in range(count)]


def findings(losses: Sequence[float], every: int = 1) -> list[Finding]:
    detector, found = LossSpike(), []
    for row, loss in enumerate(losses):
        told = detector.update(Sample(row * every, float(row), {"loss": loss}))
        if told is not None:
            found.append(told)
    return found


def told(losses: Sequence[float], every: int = 1) -> Told:
    return [
        (found.severity, found.step // every, found.onset_step // every) for found in findings(losses, every)
    ]


@pytest.mark.parametrize(
    ("rise", "every", "severity"), [(1.3, 1, "info"), (1.3, 10, "critical"), (1.3, 100, "critical")]
)
def test_one_row_of_a_sparse_log_stands_for_many_steps(rise: float, every: int, severity: str) -> None:
    assert told([*quiet(100), 2.0 * rise, *quiet(20, seed=2)], every) == [(severity, 100, 100)]


def test_a_loss_half_as_high_again_needs_no_second_step() -> None:
    assert told([*quiet(100), 3.1])[0] == ("critical", 100, 100)


def test_a_step_that_is_logged_twice_lasts_no_longer_for_that() -> None:
    detector, found = LossSpike(), []
    for step, loss in enumerate([*quiet(100), 2.4, *quiet(20, seed=2)]):
        found += [detector.update(Sample(step, float(step), {"loss": loss})) for _ in range(2)]
    assert [finding.severity for finding in found if finding is not None] == ["info"]


def test_a_log_of_one_digit_that_flickers_is_rounding() -> None:
    noise = random.Random(5)
    flicker = [noise.choice((0.0001, 0.0002)) if row > 60 else 0.0001 for row in range(300)]
    assert told(flicker, every=25) == []
    assert told([*flicker, 0.0009, 0.0009, 0.0009], every=25)[-1][0] == "critical"


def test_the_way_back_from_a_spike_is_no_usual_noise() -> None:
    way_back = [2.0 + 3.0 * 0.9**row for row in range(60)]
    losses = [*quiet(300), *way_back, *quiet(60, seed=2)]
    detector = LossSpike()
    for row, loss in enumerate(losses):
        detector.update(Sample(row, float(row), {"loss": loss}))
    assert detector.excursion.series.level.scale < 0.02


def test_a_spike_that_comes_most_of_the_way_back_and_rises_again_is_told_again() -> None:
    losses = [*quiet(100), 5.0, 4.0, 3.2, 2.7, 2.5, 2.4, 5.0, 4.0]
    found = findings(losses)
    assert [(finding.severity, finding.step, finding.evidence["again"]) for finding in found] == [
        ("critical", 100, False),
        ("critical", 106, True),
    ]


def test_a_spike_that_wavers_on_its_way_back_is_one() -> None:
    assert len(findings([*quiet(100), 5.0, 4.4, 4.6, 4.1, 4.5, 4.0, 4.3, 3.9])) == 1


@pytest.mark.parametrize("fall", [0.7, 0.9, 0.97])
def test_a_steep_begin_says_nothing(fall: float) -> None:
    noise = random.Random(3)
    losses = [2.0 + 8.0 * fall**row + noise.gauss(0, 0.05) for row in range(60)]
    assert told(losses) == []


@pytest.mark.parametrize("row", [8, 12, 20, 29])
def test_what_is_plain_is_told_before_the_noise_is_known(row: int) -> None:
    noise = random.Random(row)
    losses = [3.0 + 6.0 * 0.8**at + noise.gauss(0, 0.03) for at in range(row)]
    assert told([*losses, losses[-1] * 3.0])[-1] == ("critical", row, row)


def test_a_high_level_from_early_on_is_accepted() -> None:
    excursion = Excursion(ExcursionSettings())
    for step, value in enumerate([3.0, 2.9, 2.8, 2.75, 2.7, *[6.0] * 40]):
        excursion.update(step, value)
    assert not excursion.active
    assert excursion.series.expected == pytest.approx(6.0)
