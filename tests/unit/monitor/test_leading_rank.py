"""Statistics are made of one rank: the lowest that sends a loss, which need not be rank 0."""

from __future__ import annotations

import random
from collections.abc import Iterable

import msgspec

from trimtab_monitor.detectors import LOSSES_MISSED, OF_ONE_RANK, DetectorSet, DetectorSettings
from trimtab_monitor.types import Finding, Sample


def losses(seed: int, steps: int, jump: int) -> list[float]:
    noise = random.Random(seed)
    return [(9.0 if step >= jump else 2.0) + noise.gauss(0, 0.05) for step in range(steps)]


def pipeline(steps: int = 220, jump: int = 200, last: int = 3) -> Iterable[Sample]:
    """The last rank alone knows the loss."""
    for step, loss in enumerate(losses(1, steps, jump)):
        for rank in range(last + 1):
            values = {"own_seconds": 1.0} | ({"loss": loss} if rank == last else {})
            yield Sample(step, float(step), values, rank=rank)


def told(detectors: DetectorSet, samples: Iterable[Sample]) -> list[Finding]:
    return [finding for sample in samples for finding in detectors.update(sample)]


def test_the_loss_of_a_last_stage_is_judged() -> None:
    detectors = DetectorSet()
    found = told(detectors, pipeline())
    assert (found[0].kind, found[0].severity, found[0].step) == ("loss_spike", "critical", 200)
    assert detectors.rank == 3


def test_the_leading_rank_travels_with_the_state() -> None:
    whole, cut = DetectorSet(), DetectorSet()
    for sample in pipeline():
        assert repr(cut.update(sample)) == repr(whole.update(sample))
        cut = msgspec.msgpack.decode(msgspec.msgpack.encode(cut), type=DetectorSet)
    assert cut == whole


def test_rank_0_leads_whoever_comes_first_and_its_statistics_begin_anew() -> None:
    alone, among = DetectorSet(), DetectorSet()
    curve = losses(1, 120, jump=100)
    samples: list[Sample] = []
    for batch in range(0, 120, 20):
        for rank in (2, 1, 0):
            samples += [
                Sample(step, 0.0, {"loss": curve[step] + 5.0 * rank}, rank=rank)
                for step in range(batch, batch + 20)
            ]
    found = told(among, samples)
    assert among.rank == 0
    assert repr(found) == repr(told(alone, [sample for sample in samples if sample.rank == 0]))


def test_rank_0_keeps_the_lead_however_long_others_run_ahead() -> None:
    detectors = DetectorSet()
    told(detectors, [Sample(step, 0.0, {"loss": 2.0}) for step in range(50)])
    told(detectors, [Sample(step, 0.0, {"loss": 2.0}, rank=1) for step in range(5 * LOSSES_MISSED)])
    assert detectors.rank == 0


def test_a_higher_rank_leads_once_the_leading_one_knows_no_loss_any_more() -> None:
    detectors = DetectorSet()
    told(detectors, pipeline(steps=60, last=3))
    more = [
        Sample(step, 0.0, {"loss": 2.0}, attempt=1, rank=rank)
        for step in range(60, 61 + LOSSES_MISSED)
        for rank in (6, 7)
    ]
    told(detectors, more[:-2])
    assert detectors.rank == 3
    told(detectors, more[-2:])
    assert detectors.rank == 6


def test_rank_0_is_judged_where_no_rank_sends_a_loss() -> None:
    noise, detectors = random.Random(1), DetectorSet()
    norms = [noise.lognormvariate(0, 0.1) * (1e4 if step >= 100 else 1.0) for step in range(120)]
    found = told(detectors, [Sample(step, 0.0, {"grad_norm": norm}) for step, norm in enumerate(norms)])
    assert {finding.kind for finding in found} == {"grad_explosion"}


def test_what_begins_anew_keeps_its_settings() -> None:
    settings = DetectorSettings.model_validate(
        {"loss_spike": {"min_rise": 0.5}, "dead_layer": {"min_fall": 7.0}, "plateau": {}}
    )
    detectors, fresh = DetectorSet.build(settings), DetectorSet.build(settings)
    told(detectors, [Sample(1, 0.0, {"grad_norm": 1.0, "grad_norm/a": 1.0, "loss_scale": 2.0})])
    assert detectors.layers != fresh.layers
    for detector in (detectors, fresh):
        told(detector, [Sample(1, 0.0, {"loss": 2.0}, rank=5)])
    assert all(getattr(detectors, name) == getattr(fresh, name) for name in OF_ONE_RANK)
    assert detectors.loss_spike.excursion.settings.min_rise == 0.5


def test_gradient_norms_of_the_whole_run_count_where_the_leading_rank_has_none() -> None:
    noise, detectors, found = random.Random(1), DetectorSet(), []
    for step in range(150):
        found += detectors.update(Sample(step, 0.0, {"loss": 2.0 + noise.gauss(0, 0.05)}, rank=3))
        norm = noise.lognormvariate(0, 0.1) * (1e4 if step >= 120 else 1.0)
        found += detectors.update(Sample(step, 0.0, {"grad_norm": norm}))
    assert detectors.rank == 3
    assert {finding.kind for finding in found} == {"grad_explosion"}


def test_gradient_norms_of_rank_0_do_not_count_beside_those_of_the_leading_rank() -> None:
    noise, detectors = random.Random(1), DetectorSet()
    for step in range(150):
        norm = noise.lognormvariate(0, 0.1)
        values = {"loss": 2.0 + noise.gauss(0, 0.05), "grad_norm": norm}
        assert detectors.update(Sample(step, 0.0, values, rank=3)) == []
        assert detectors.update(Sample(step, 0.0, {"grad_norm": 1e4 * norm})) == []
