"""The detectors' state: it serialises exactly, is bounded, and goes back with the run."""

from __future__ import annotations

import math
import random

import msgspec
import pytest
from pydantic import ValidationError

from trimtab_monitor.detectors import DetectorSet, DetectorSettings
from trimtab_monitor.types import Sample


def stream(seed: int, steps: int) -> list[Sample]:
    """A run with all that can happen: spikes, NaN, gaps, gradients, a drift, several ranks."""
    noise, samples = random.Random(seed), []
    for step in range(1, steps + 1):
        values = {
            "loss": 2.0 + 3.0 * math.exp(-step / 40) + noise.gauss(0, 0.05) + max(0, step - 400) * 0.003,
            "grad_norm": 0.3 * noise.lognormvariate(0, 0.3),
            "lr": 1e-3,
        }
        if step % 97 == 0:
            values["loss"] *= 3.0
        if step % 101 == 0:
            values["grad_norm"] *= 50.0
        if step % 131 == 0:
            values["loss"] = math.nan
        if step % 17 == 0:
            del values["grad_norm"]
        samples.append(Sample(step, float(step), values))
        if step % 5 == 0:
            samples.append(Sample(step, float(step), {"loss": math.inf if step == 250 else 2.0}, rank=1))
    return samples


def reloaded(detectors: DetectorSet) -> DetectorSet:
    return msgspec.msgpack.decode(msgspec.msgpack.encode(detectors), type=DetectorSet)


@pytest.mark.parametrize("every", [1, 7, 64])
def test_findings_do_not_depend_on_how_often_the_state_is_stored(every: int) -> None:
    samples = stream(1, 600)
    whole, cut = DetectorSet(), DetectorSet()
    expected = [finding for sample in samples for finding in whole.update(sample)]
    found = []
    for index, sample in enumerate(samples):
        found += cut.update(sample)
        if index % every == 0:
            cut = reloaded(cut)
    assert len(expected) > 10
    assert {finding.kind for finding in expected} == {
        "non_finite",
        "loss_spike",
        "grad_explosion",
        "divergence",
    }
    assert repr(found) == repr(expected)
    assert reloaded(cut) == whole


def test_settings_travel_with_the_state() -> None:
    detectors = DetectorSet.build(DetectorSettings.model_validate({"loss_spike": {"min_rise": "0.5"}}))
    assert reloaded(detectors).loss_spike.excursion.settings.min_rise == 0.5


def test_the_state_is_bounded() -> None:
    detectors, sizes = DetectorSet(), []
    for sample in stream(2, 3000):
        detectors.update(sample)
        if sample.step % 500 == 0:
            sizes.append(len(msgspec.msgpack.encode(detectors)))
    assert max(sizes) < 60_000
    assert max(sizes) < 1.3 * sizes[1]


def test_a_rewind_restores_the_level_of_before() -> None:
    fresh, rewound = DetectorSet(), DetectorSet()
    samples = [sample for sample in stream(3, 90) if sample.rank == 0]
    for sample in samples:
        rewound.update(sample)
        if sample.step <= 60:
            fresh.update(sample)
    for step in range(91, 96):
        rewound.update(Sample(step, 0.0, {"loss": 9.0, "grad_norm": 40.0}))
    assert rewound.active("loss_spike")
    rewound.rewind(60)
    assert not any(map(rewound.active, ["loss_spike", "grad_explosion", "divergence", "non_finite"]))
    mine, theirs = rewound.loss_spike.excursion.series.level, fresh.loss_spike.excursion.series.level
    assert mine.expected == pytest.approx(theirs.expected, rel=0.02)
    assert len(mine.residuals) == 90, "what was learned of the noise before the onset stays"


def test_after_a_rollback_to_its_first_steps_a_run_is_still_judged_by_its_own_noise() -> None:
    noise = random.Random(7)
    loss = [2.9 + 2.6 * math.exp(-step / 8) + noise.gauss(0, 0.08) for step in range(80)]
    detectors = DetectorSet()
    for step in range(49):
        assert detectors.update(Sample(step, 0.0, {"loss": loss[step]})) == []
    for step in (49, 50):
        detectors.update(Sample(step, 0.0, {"loss": 7.5}))
    for step in range(26, 49):
        assert detectors.update(Sample(step, 0.0, {"loss": loss[step]}, attempt=1)) == []
    found = [
        finding
        for step, value in ((49, 4.1), (50, 4.3), (51, 3.8))
        for finding in detectors.update(Sample(step, 0.0, {"loss": value}, attempt=1))
    ]
    assert [finding.severity for finding in found] == ["info", "warning", "critical"]


def test_a_rewind_further_back_than_samples_are_remembered_knows_the_level_of_then() -> None:
    detectors = DetectorSet()
    for step in range(4000):
        detectors.update(Sample(step, 0.0, {"loss": 2.0 + 8.0 * math.exp(-step / 800)}))
    detectors.rewind(1000)
    assert detectors.loss_spike.excursion.series.expected == pytest.approx(4.3, rel=0.1)
    for step in range(1001, 1400):
        assert detectors.update(Sample(step, 0.0, {"loss": 2.0 + 8.0 * math.exp(-step / 800)})) == []


def test_a_rewind_to_the_first_steps_begins_anew() -> None:
    detectors = DetectorSet()
    for step in range(600):
        detectors.update(Sample(step, 0.0, {"loss": 2.0 + 8.0 * math.exp(-step / 80)}))
    detectors.rewind(0)
    for step in range(1, 200):
        assert detectors.update(Sample(step, 0.0, {"loss": 2.0 + 8.0 * math.exp(-step / 80)})) == []


def test_a_sample_of_a_new_attempt_rewinds_and_one_of_an_old_is_ignored() -> None:
    detectors = DetectorSet()
    for sample in stream(5, 80):
        detectors.update(sample)
    detectors.update(Sample(81, 0.0, {"loss": math.nan}, rank=3))
    assert detectors.active("non_finite")
    assert detectors.update(Sample(61, 0.0, {"loss": 2.1}, attempt=1)) == []
    assert not detectors.active("non_finite")
    assert detectors.update(Sample(82, 0.0, {"loss": math.nan}, attempt=0)) == []
    assert max(detectors.loss_spike.excursion.series.level.steps) == 61


@pytest.mark.parametrize(
    ("group", "name", "value"),
    [("loss_spike", "min_rise", 0), ("divergence", "slope_t", -1), ("loss_spike", "unknown", 1)],
)
def test_settings_are_checked(group: str, name: str, value: float) -> None:
    with pytest.raises(ValidationError, match=f"{group}.{name}"):
        DetectorSettings.model_validate({group: {name: value}})


def test_updates_do_not_change_their_sample() -> None:
    values = {"loss": math.nan, "grad_norm": 0.3}
    DetectorSet().update(Sample(1, 0.0, values))
    assert list(values) == ["loss", "grad_norm"]
