"""Layers that die and layers that explode, beside layers that only rest, and all that moves them together."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Iterable, Mapping

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trimtab_monitor.detectors.dead_layer import DeadLayer
from trimtab_monitor.detectors.exploding_layer import ExplodingLayer
from trimtab_monitor.detectors.layer_norms import MOST_LAYERS, LayerNorms
from trimtab_monitor.types import Finding, Sample

Norms = dict[str, float]


def name(layer: int) -> str:
    return f"grad_norm/block.{layer}"


def stream(
    seed: int,
    steps: int,
    layers: int = 12,
    change: Callable[[int, Norms], object] = lambda _step, _norms: None,
    start: int = 1,
) -> list[Sample]:
    """Layers of their own levels and noise, that fall and jump together; `change` may spoil each step."""
    noise, own, samples = random.Random(seed), random.Random(7), []
    levels = [own.gauss(0, 1.5) for _ in range(layers)]
    sigmas = [own.uniform(0.1, 0.7) for _ in range(layers)]
    for step in range(start, start + steps):
        common = -0.5 * math.log(step + 10) + noise.gauss(0, 0.2)
        if noise.random() < 0.01:
            common += noise.expovariate(0.5)
        norms = {
            name(layer): math.exp(levels[layer] + common + noise.gauss(0, sigmas[layer]))
            for layer in range(layers)
        }
        change(step, norms)
        samples.append(Sample(step, 0.0, norms))
    return samples


class Both:
    """Both detectors of layers, and what they share."""

    def __init__(self) -> None:
        self.norms, self.dead, self.exploding = LayerNorms(), DeadLayer(), ExplodingLayer()

    def told(self, samples: Iterable[Sample]) -> list[Finding]:
        found = []
        for sample in samples:
            moves = self.norms.update(sample)
            found += [self.dead.update(sample, moves), self.exploding.update(sample, moves)]
        return [finding for finding in found if finding is not None]

    def rewind(self, step: int) -> None:
        self.norms.rewind()
        self.dead.rewind(step)
        self.exploding.rewind(step)


def kinds(found: Iterable[Finding]) -> list[tuple[str, int, str]]:
    return [(finding.kind, finding.step, finding.metric) for finding in found]


def scaled(factors: Mapping[int, float], since: int, until: int = 10**9) -> Callable[[int, Norms], None]:
    """From step `since` to before `until` these layers' norms are so many times what they would be."""

    def change(step: int, norms: Norms) -> None:
        if since <= step < until:
            for layer, factor in factors.items():
                norms[name(layer)] *= factor

    return change


# --- layers that die ---


@pytest.mark.parametrize("factor", [0.0, 1e-30, 1e-5])
def test_a_dead_layer_is_named_once_it_has_lasted(factor: float) -> None:
    (found,) = Both().told(stream(1, 500, change=scaled({3: factor}, since=200)))
    assert (found.kind, found.severity, found.metric) == ("dead_layer", "warning", name(3))
    assert (found.onset_step, found.step) == (200, 219)
    assert found.evidence["layers"] == 1
    assert found.value < found.expected / 100


def test_many_that_die_together_are_one_finding() -> None:
    (found,) = Both().told(stream(1, 500, change=scaled(dict.fromkeys(range(5), 0.0), since=200)))
    assert found.evidence["layers"] == 5
    assert len(found.evidence["others"]) == 4


def test_more_are_told_when_there_are_twice_as_many() -> None:
    def one_by_one(step: int, norms: Norms) -> None:
        for layer in range(8):
            if step >= 200 + 30 * layer:
                norms[name(layer)] = 0.0

    found = Both().told(stream(1, 600, layers=20, change=one_by_one))
    assert [finding.evidence["layers"] for finding in found] == [1, 2, 4, 8]


def test_a_gradient_that_falls_everywhere_kills_no_layer_where_its_whole_norm_tells_so() -> None:
    both = Both()
    both.norms.whole = True
    assert both.told(stream(1, 500, change=scaled(dict.fromkeys(range(12), 1e-6), since=200))) == []


def test_a_layer_that_was_never_alive_is_silent() -> None:
    assert Both().told(stream(1, 500, change=scaled({3: 0.0}, since=0))) == []


def test_layers_that_are_dropped_at_random_are_silent() -> None:
    chance = random.Random(1)

    def drop(_step: int, norms: Norms) -> None:
        if chance.random() < 0.3:
            norms[name(3)] = 0.0

    assert Both().told(stream(1, 20_000, layers=6, change=drop)) == []


def test_a_layer_that_dies_little_by_little_is_told() -> None:
    def fade(step: int, norms: Norms) -> None:
        norms[name(3)] *= 0.98 ** max(0, step - 300)

    (found,) = Both().told(stream(1, 800, change=fade))
    assert (found.kind, found.metric) == ("dead_layer", name(3))


def test_a_death_is_over_when_the_layer_lives_again() -> None:
    both = Both()
    assert len(both.told(stream(1, 300, change=scaled({3: 0.0}, since=200)))) == 1
    assert both.dead.active
    assert both.told(stream(2, 100, start=301)) == []
    assert not both.dead.active


def test_a_rollback_keeps_what_was_learned() -> None:
    both = Both()
    both.told(stream(1, 300, change=scaled({3: 0.0}, since=200)))
    both.rewind(190)
    assert not both.dead.active
    assert both.told(stream(2, 100, start=191)) == []
    assert kinds(both.told(stream(3, 60, start=291, change=scaled({5: 0.0}, since=300)))) == [
        ("dead_layer", 319, name(5))
    ]


def test_of_two_layers_the_dead_one_is_found() -> None:
    found = Both().told(stream(1, 400, layers=2, change=scaled({1: 1e-5}, since=200)))
    assert kinds(found) == [("dead_layer", 219, name(1))]


# --- layers that explode ---


@pytest.mark.parametrize("layers", [2, 3, 12, 100])
def test_an_exploding_layer_is_named_at_its_third_sample(layers: int) -> None:
    found = Both().told(stream(1, 400, layers=layers, change=scaled({1: 100.0}, since=200)))
    assert kinds(found) == [("exploding_layer", 202, name(1))]
    assert (found[0].severity, found[0].onset_step) == ("warning", 200)
    assert found[0].value > 5.0 * found[0].expected


def test_a_gradient_that_climbs_everywhere_is_no_layers_fault() -> None:
    assert Both().told(stream(1, 500, change=scaled(dict.fromkeys(range(12), 1e4), since=200))) == []


def test_most_layers_vanishing_makes_no_other_explode() -> None:
    found = Both().told(stream(1, 2000, change=scaled(dict.fromkeys(range(8), 1e-6), since=200)))
    assert "exploding_layer" not in {finding.kind for finding in found}


def test_an_outlier_is_silent() -> None:
    assert Both().told(stream(1, 400, change=scaled({3: 1000.0}, since=200, until=202))) == []


def test_noise_is_silent() -> None:
    for seed in range(3):
        assert Both().told(stream(seed, 4000)) == []


def test_layers_that_drift_apart_are_silent() -> None:
    def drift(step: int, norms: Norms) -> None:
        for layer in range(12):
            norms[name(layer)] *= (1.0 + step) ** (0.15 * (layer - 6))

    assert Both().told(stream(1, 6000, change=drift)) == []


def test_bursts_set_their_own_limit() -> None:
    chance = random.Random(1)

    def burst(_step: int, norms: Norms) -> None:
        if chance.random() < 0.3:
            norms[name(3)] *= 30.0

    assert len(Both().told(stream(1, 10_000, layers=6, change=burst))) <= 1


def test_norms_of_every_tenth_step_and_of_half_the_layers_at_a_time_will_do() -> None:
    def some(step: int, norms: Norms) -> None:
        for layer in range(step % 2, 12, 2):
            del norms[name(layer)]
        if step >= 400 and name(3) in norms:
            norms[name(3)] *= 100.0

    samples = stream(1, 600, change=some)
    (found,) = Both().told(samples)
    assert (found.kind, found.metric) == ("exploding_layer", name(3))
    assert found.step <= 406
    assert Both().told(Sample(10 * sample.step, 0.0, sample.values) for sample in samples[:399]) == []


def test_an_explosion_is_over_when_the_layer_comes_back_and_a_new_level_is_accepted() -> None:
    both = Both()
    assert len(both.told(stream(1, 300, change=scaled({3: 100.0}, since=200)))) == 1
    assert both.exploding.active
    both.told(stream(2, 10, start=301))
    assert not both.exploding.active
    assert len(both.told(stream(3, 1000, start=311, change=scaled({4: 100.0}, since=0)))) == 1
    assert not both.exploding.active


def test_so_many_layers_are_watched_and_no_more() -> None:
    both = Both()
    (found,) = both.told(stream(1, 300, layers=200, change=scaled({1: 100.0, 180: 100.0}, since=200)))
    assert found.metric == name(1)
    assert found.evidence["layers_not_watched"] == 200 - MOST_LAYERS
    assert len(both.norms.layers) == MOST_LAYERS
    assert len(msgspec.msgpack.encode(both.norms)) < 400 * MOST_LAYERS


def test_the_state_is_stored_and_read_back_exactly() -> None:
    samples = stream(1, 300, change=scaled({3: 100.0}, since=200))
    whole, cut, found = Both(), Both(), []
    for sample in samples:
        found += cut.told([sample])
        cut.norms = msgspec.msgpack.decode(msgspec.msgpack.encode(cut.norms), type=LayerNorms)
    assert found == whole.told(samples)


numbers = st.sampled_from([math.nan, math.inf, -1.0, 0.0, 5e-324, 1e-30, 1e30, 1e308, 2.0, 3])


@given(st.lists(st.lists(numbers, min_size=1, max_size=4), max_size=30))
def test_any_input_is_survived(rows: list[list[float]]) -> None:
    both = Both()
    for _ in range(6):
        for step, row in enumerate(rows):
            both.told([Sample(step % 3, 0.0, {name(layer): norm for layer, norm in enumerate(row)})])


@pytest.mark.parametrize("norm", [0.0, 1e-7])
@pytest.mark.parametrize("layers", [1, 2, 12])
def test_all_layers_that_die_are_told_where_no_whole_norm_is_sent(layers: int, norm: float) -> None:
    def die(step: int, norms: Norms) -> None:
        if step >= 200:
            norms.update(dict.fromkeys(norms, norm))

    samples = stream(1, 260, layers, die)
    first = Both().told(samples)[0]
    assert (first.kind, first.step, first.onset_step) == ("dead_layer", 219, 200)
    assert first.evidence["layers"] == layers

    whole = Both()
    whole.norms.whole = True
    assert whole.told(samples) == []


def test_layers_that_came_back_all_together_are_alive() -> None:
    def rest(step: int, norms: Norms) -> None:
        if 200 <= step < 230:
            norms.update(dict.fromkeys(norms, 0.0))

    both = Both()
    assert [finding.step for finding in both.told(stream(1, 300, 6, rest))] == [219]
    assert not both.dead.active


@pytest.mark.parametrize("seed", range(5))
def test_norms_that_fall_all_together_over_hundreds_of_steps_are_quiet(seed: int) -> None:
    def fall(step: int, norms: Norms) -> None:
        for layer in norms:
            norms[layer] *= math.exp(-step / 80)

    assert Both().told(stream(seed, 1500, 6, fall)) == []
