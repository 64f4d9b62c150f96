"""The detectors on seeded streams: golden steps, and the cases in which others fail."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Iterable, Mapping, Sequence

import pytest

from trimtab_monitor.detectors import DetectorSet
from trimtab_monitor.types import Finding, Sample

NOISE = 0.03
CALM = NOISE / 1.28
"""With this, `language_model` varies by `NOISE`: its own noise is heavy-tailed and correlated."""


def heavy(noise: random.Random, freedom: int) -> float:
    chi_squared = sum(noise.gauss(0, 1) ** 2 for _ in range(freedom))
    return noise.gauss(0, 1) / math.sqrt(chi_squared / freedom)


def language_model(
    seed: int, steps: int, change: Callable[[float, int], float], start: int, sigma: float = NOISE
) -> list[float]:
    """A falling loss with correlated, heavy-tailed noise; from step index `start` on it is changed."""
    noise, error, losses = random.Random(seed), 0.0, []
    for index in range(steps):
        error = 0.3 * error + sigma * heavy(noise, 6)
        level = 1.9 + 9 * (1 + index / 20) ** -0.55
        losses.append((change(level, index - start) if index >= start else level) + error)
    return losses


def unchanged(level: float, after: int) -> float:
    del after
    return level


def findings(
    losses: Iterable[float], grad_norms: Sequence[float] | None = None, detectors: DetectorSet | None = None
) -> list[Finding]:
    detectors = DetectorSet() if detectors is None else detectors
    found = []
    for index, loss in enumerate(losses):
        values = {"loss": loss} if grad_norms is None else {"loss": loss, "grad_norm": grad_norms[index]}
        found += detectors.update(Sample(index, float(index), values))
    return found


def told(found: Iterable[Finding]) -> list[tuple[str, str, int, int]]:
    return [(finding.kind, finding.severity, finding.step, finding.onset_step) for finding in found]


def flat(seed: int, steps: int, level: float = 2.0, sigma: float = 0.05) -> list[float]:
    noise = random.Random(seed)
    return [level + noise.gauss(0, sigma) for _ in range(steps)]


# --- quiet where nothing is wrong ---


@pytest.mark.parametrize("seed", range(4))
def test_a_falling_loss_never_alarms(seed: int) -> None:
    assert told(findings(language_model(seed, 3000, unchanged, 0))) == []


def test_a_steep_fall_that_ends_at_once_does_not_alarm() -> None:
    noise = random.Random(3)
    losses = [max(2.0, 11.0 - 0.15 * index) + noise.gauss(0, 0.03) for index in range(300)]
    assert told(findings(losses)) == []


def test_a_loss_that_drops_to_a_new_level_does_not_alarm() -> None:
    assert told(findings(flat(1, 200) + flat(2, 200, level=1.0))) == []


def test_a_rate_that_warms_up_does_not_alarm() -> None:
    noise = random.Random(5)
    losses, norms = [], []
    for index in range(400):
        losses.append(3.0 + 7.0 * math.exp(-index / 60) + noise.gauss(0, 0.08))
        norms.append((0.4 + 6.0 * math.exp(-index / 25)) * noise.lognormvariate(0, 0.3))
    assert told(findings(losses, norms)) == []


def test_a_benign_step_of_four_percent_seldom_alarms() -> None:
    alarmed = 0
    for seed in range(20):
        losses = language_model(seed, 2300, lambda level, _: 1.04 * level, 2000, sigma=CALM)
        alarmed += told(findings(losses)) != []
    assert alarmed <= 2


def test_heavy_tails_make_marks_at_most() -> None:
    noise = random.Random(11)
    losses = [2.0 * math.exp(0.04 * heavy(noise, 6)) for _ in range(5000)]
    found = findings(losses)
    assert [finding for finding in found if finding.severity != "info"] == []
    assert len(found) <= 3


def test_of_the_first_thirty_samples_only_what_is_plain_is_told() -> None:
    assert told(findings([2.0, 50.0, 2.0, 900.0] * 7)) == []
    assert told(findings([2.0] * 10 + [math.inf])) == [("non_finite", "critical", 10, 10)]
    steep = [5.8, 5.7, 5.2, 4.3, 3.6, 3.4]
    assert told(findings([*steep, 3.3, 3.4, 3.2, 3.3])) == []
    assert told(findings([*steep, 30.0])) == [("loss_spike", "critical", 6, 6)]
    assert told(findings([*steep, 8.3, 8.2, 8.2])) == [
        ("loss_spike", "warning", 7, 6),
        ("loss_spike", "critical", 8, 6),
    ]


# --- found where something is wrong ---


def test_nan_is_found_at_once_on_any_rank() -> None:
    detectors = DetectorSet()
    assert detectors.update(Sample(1, 0.0, {"loss": 2.0}, rank=5)) == []
    (found,) = detectors.update(Sample(2, 1.0, {"loss": math.nan, "grad_norm": 0.3}, rank=5))
    assert (found.kind, found.metric, found.severity, found.step) == ("non_finite", "loss", "critical", 2)
    assert (found.expected, found.score, found.evidence["rank"]) == (2.0, math.inf, 5)


def test_nan_disarms_nothing() -> None:
    losses = flat(1, 100)
    losses[60:70] = [math.nan] * 10
    found = findings([*losses, 6.0, 6.1])
    assert told(found)[0] == ("non_finite", "critical", 60, 60)
    assert told(found)[1] == ("loss_spike", "critical", 100, 100)


def test_gradients_that_overflow_under_a_loss_scaler_are_marks_until_they_last() -> None:
    detectors = DetectorSet()
    severities = []
    for step in range(25):
        values = {"loss": 2.0, "grad_norm": math.inf, "loss_scale": 65536.0}
        severities += [(step, found.severity) for found in detectors.update(Sample(step, 0.0, values))]
    assert severities == [(0, "info"), (4, "warning"), (19, "critical")]


def test_a_huge_jump_is_critical_at_its_first_sample() -> None:
    found = findings([*flat(7, 150), 5.1, 5.3])
    assert told(found) == [("loss_spike", "critical", 150, 150)]
    assert found[0].value == 5.1
    assert found[0].expected == pytest.approx(2.0, abs=0.05)
    assert found[0].score > 15


def test_one_outlier_that_comes_back_is_a_mark() -> None:
    losses = [*flat(8, 150), 2.6, *flat(9, 50)]
    assert told(findings(losses)) == [("loss_spike", "info", 150, 150)]


def test_a_rise_that_lasts_gets_more_severe_and_is_dated_back() -> None:
    losses = [*flat(8, 150), 2.3, 2.35, 2.4, 2.6, 2.6]
    assert told(findings(losses)) == [
        ("loss_spike", "warning", 151, 150),
        ("loss_spike", "critical", 153, 150),
    ]


@pytest.mark.parametrize(("factor", "latest"), [(1.5, 0), (1.15, 2)])
def test_a_higher_level_is_found(factor: float, latest: int) -> None:
    delays = []
    for seed in range(10):
        losses = language_model(seed, 540, lambda level, _: factor * level, 500)
        alarms = [found.step for found in findings(losses) if found.step >= 500]
        delays.append(alarms[0] - 500)
    assert max(delays) <= latest


def test_a_drift_of_a_tenth_of_sigma_a_step_is_found_in_about_thirty_steps() -> None:
    delays, onsets = [], []
    for seed in range(15):
        losses = language_model(seed, 2100, lambda level, t: level + 0.1 * NOISE * t, 2000, sigma=CALM)
        found = [finding for finding in findings(losses) if finding.severity != "info"]
        assert {finding.kind for finding in found} <= {"divergence", "level_shift"}
        onsets.append(found[0].onset_step)
        delays.append(found[0].step - 2000)
    assert sorted(delays)[len(delays) // 2] <= 32
    assert max(delays) <= 60
    assert 1990 <= sorted(onsets)[len(onsets) // 2] <= 2010


def test_a_level_a_fifth_up_within_the_noise_is_found_though_no_sample_stands_out() -> None:
    losses = flat(4, 200, sigma=0.16) + flat(5, 60, level=2.4, sigma=0.16)
    assert {found.kind for found in findings(losses)} == {"level_shift"}


def test_the_one_spike_of_bloom_is_found_one_step_after_its_first_odd_gradient() -> None:
    noise = random.Random(2)
    losses = [2.2 + noise.gauss(0, 0.03) for _ in range(200)] + [2.199, 2.220, 2.595, 2.242, 2.345, 5.098]
    norms = [0.242 * noise.lognormvariate(0, 0.15) for _ in range(200)]
    norms += [0.242, 0.947, 2.39, 15.9, 145.0, 960.0]
    alarms = [found for found in findings(losses, norms) if found.severity != "info"]
    assert told(alarms)[0] == ("grad_explosion", "warning", 202, 201)
    assert told(alarms)[-1][:3] == ("loss_spike", "critical", 205)


def test_one_large_gradient_is_a_mark() -> None:
    noise = random.Random(6)
    norms = [0.3 * noise.lognormvariate(0, 0.2) for _ in range(100)]
    norms[80] = 30.0
    assert told(findings(flat(1, 100), norms)) == [("grad_explosion", "info", 80, 80)]


def test_losses_that_are_negative_are_judged_as_they_are() -> None:
    noise = random.Random(6)
    losses = [-5.0 + noise.gauss(0, 0.1) for _ in range(200)]
    assert told(findings([*losses, -3.0, -2.9, -2.9]))[-1] == ("loss_spike", "critical", 202, 200)
    assert told(findings([*losses, -2.0])) == [("loss_spike", "critical", 200, 200)]
    assert told(findings([*losses, -9.0, -9.0, -9.0])) == []


def test_a_loss_that_turns_negative_later_goes_on_being_judged() -> None:
    noise = random.Random(6)
    losses = [2.0 - index / 100 + noise.gauss(0, 0.02) for index in range(400)]
    assert told(findings(losses)) == []
    kinds = {(found.kind, found.step) for found in findings([*losses, 2.0, 2.0])}
    assert kinds == {("loss_spike", 400)}


# --- golden: a change of behaviour cannot slip by ---


@pytest.mark.parametrize(
    ("seed", "expected"),
    [
        (1, [("divergence", "warning", 541, 506), ("loss_spike", "info", 900, 900)]),
        (2, [("divergence", "warning", 535, 506), ("loss_spike", "info", 900, 900)]),
        (3, [("divergence", "warning", 535, 512), ("loss_spike", "info", 900, 900)]),
    ],
)
def test_golden_steps(seed: int, expected: list[tuple[str, str, int, int]]) -> None:
    losses = language_model(seed, 1000, lambda level, t: level + 0.006 * min(t, 60), 500)
    losses[900] *= 1.4
    assert told(findings(losses)) == expected


# --- how it goes on after it found something ---


def test_a_spike_is_not_learned_from() -> None:
    detectors = DetectorSet()
    findings(flat(1, 200), detectors=detectors)
    level = detectors.loss_spike.excursion.series.expected
    for step in range(200, 220):
        detectors.update(Sample(step, 0.0, {"loss": 4.0}))
    assert detectors.active("loss_spike")
    assert detectors.loss_spike.excursion.series.expected == level


def test_a_level_that_stays_is_accepted() -> None:
    detectors = DetectorSet()
    found = findings(flat(1, 200) + flat(2, 400, level=3.0), detectors=detectors)
    assert max(finding.step for finding in found) < 240
    assert not any(map(detectors.active, ["loss_spike", "divergence", "level_shift"]))
    assert told(findings(flat(3, 100, level=3.0), detectors=detectors)) == []


def test_a_drift_is_over_soon_after_the_loss_came_back() -> None:
    detectors = DetectorSet()
    findings([*flat(1, 200), *(2.0 + 0.01 * i for i in range(60))], detectors=detectors)
    assert detectors.active("divergence")
    for step, loss in enumerate(flat(4, 12), start=260):
        detectors.update(Sample(step, 0.0, {"loss": loss}))
    assert not detectors.active("divergence")


def test_only_rank_zero_makes_statistics() -> None:
    detectors = DetectorSet()
    for step, loss in enumerate(flat(1, 100)):
        detectors.update(Sample(step, 0.0, {"loss": loss}))
        assert detectors.update(Sample(step, 0.0, {"loss": 100.0 * loss}, rank=1)) == []


def test_a_metric_that_is_missing_now_and_then_is_judged_when_it_is_there() -> None:
    values: list[Mapping[str, float]] = []
    for index, loss in enumerate(flat(1, 200)):
        values.append({"loss": loss} if index % 4 == 0 else {"tokens": 1.0})
    values += [{}, {"loss": 6.0}, {}]
    detectors = DetectorSet()
    found = [each for step, known in enumerate(values) for each in detectors.update(Sample(step, 0.0, known))]
    assert told(found) == [("loss_spike", "critical", 201, 201)]
