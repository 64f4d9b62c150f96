"""The set asks each detector for the metrics that it knows, and its state goes on where it was."""

from __future__ import annotations

import math
import random

import msgspec
import pytest

from trimtab_monitor.detectors import DetectorSet, DetectorSettings
from trimtab_monitor.types import Finding, Sample

STEPS = 5000
OF_METRICS = {
    "dead_layer",
    "exploding_layer",
    "loss_scale_collapse",
    "overfitting",
    "plateau",
    "throughput_drop",
    "vanishing_gradients",
}


def troubled(seed: int) -> list[Sample]:
    """A run in which everything goes wrong that needs more than a loss to see, one after the other."""
    noise, samples, scale = random.Random(seed), [], 65536.0
    for step in range(1, STEPS + 1):
        norms = {f"grad_norm/{layer}": noise.lognormvariate(layer, 0.3) for layer in range(6)}
        if 1000 <= step < 1100:
            norms["grad_norm/2"] = 0.0
        if 1300 <= step < 1400:
            norms["grad_norm/3"] *= 50.0
        if 1500 <= step < 1510:
            scale /= 2.0
        values = {
            "loss": 2.0
            + 4.0 * min(step + 10, 2000) ** -0.4
            - 1e-4 * max(0, step - 4000)
            + noise.gauss(0, 0.01),
            "grad_norm": noise.lognormvariate(0, 0.3) * (1e-6 if 2000 <= step < 2100 else 1.0),
            "lr": 1e-3,
            "loss_scale": scale,
            "step_seconds": 5.0 * noise.lognormvariate(0, 0.05) * (2.0 if 2500 <= step < 2600 else 1.0),
        } | (norms if step % 2 else {})
        if step % 50 == 0:
            values["eval_loss"] = 2.5 + max(0, step - 4000) * 1e-3 + noise.gauss(0, 0.003)
        samples.append(Sample(step, float(step), values))
    return samples


def told(samples: list[Sample], every: int = 0) -> list[Finding]:
    """All that is found; the state is stored and read back after each `every` samples."""
    detectors, found = DetectorSet.build(DetectorSettings()), []
    for index, sample in enumerate(samples, start=1):
        found += detectors.update(sample)
        if every and index % every == 0:
            detectors = msgspec.msgpack.decode(msgspec.msgpack.encode(detectors), type=DetectorSet)
    return found


def test_every_trouble_is_told_once_by_the_one_who_knows_it() -> None:
    kinds = [finding.kind for finding in told(troubled(1)) if finding.kind in OF_METRICS]
    assert sorted(kinds) == sorted(OF_METRICS)


@pytest.mark.parametrize("every", [1, 97])
def test_findings_do_not_depend_on_how_often_the_state_is_stored(every: int) -> None:
    samples = troubled(2) if every > 1 else troubled(2)[:1600]
    assert told(samples, every) == told(samples)


def test_metrics_that_come_alone_are_asked_for_alone() -> None:
    whole, alone = DetectorSet(), DetectorSet()
    found, found_alone = [], []
    for sample in troubled(3)[:2200]:
        found += whole.update(sample)
        norm = sample.values["grad_norm"]
        rest = {name: value for name, value in sample.values.items() if name != "grad_norm"}
        found_alone += alone.update(Sample(sample.step, sample.time, rest))
        found_alone += alone.update(Sample(sample.step, sample.time, {"grad_norm": norm}))
    kinds = {finding.kind for finding in found}
    assert kinds == {finding.kind for finding in found_alone}
    assert {"dead_layer", "loss_scale_collapse", "vanishing_gradients"} <= kinds


def test_a_threshold_of_layers_reaches_what_learns_them() -> None:
    settings = DetectorSettings.model_validate(
        {"exploding_layer": {"min_rise": 3.0}, "dead_layer": {"min_fall": 10.0}}
    )
    layers = DetectorSet.build(settings).layers
    assert (layers.min_rise, layers.min_fall) == (math.log(3.0), math.log(10.0))


def test_other_ranks_make_no_statistics() -> None:
    detectors = DetectorSet()
    detectors.update(Sample(1, 0.0, {"loss": 2.0}))
    for step in range(1, 100):
        detectors.update(Sample(step, 0.0, {"loss": 2.0, "grad_norm/1": 1.0, "grad_norm": 1.0}, rank=1))
    assert detectors.vanishing_gradients.norm.samples == 0
    assert detectors.layers.layers == {}
    assert detectors.plateau.count == 1
