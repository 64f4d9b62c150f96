"""How far each layer's gradient norm is from where its own past and the other layers put it.

Learned once a sample for both that ask: `dead_layer` and `exploding_layer`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from math import exp, inf, log
from typing import Final

from trimtab import wire
from trimtab_monitor.types import Sample

PREFIX: Final = f"{wire.GRAD_NORM}/"
PREFIX_LENGTH: Final = len(PREFIX)
MOST_LAYERS: Final = 128
WARM_UP_SAMPLES: Final = 30
LATELY: Final = 1.0 / 64
"""Weight of the newest sample in the running mean of a layer's last samples."""

IN_THE_LONG_RUN: Final = 1.0 / 128
LONG_RUN_EVERY: Final = 8
"""The same for its long run, which follows only each so many samples: it changes slowly, and costs."""

YOUNG: Final = 4.0
"""A young layer's means run over the last 1 / YOUNG of its samples."""

YOUNG_SAMPLES: Final = 256

CUT: Final = 1.0
"""A sample moves a mean by at most this logarithm, or three mean deviations."""

NOISE_LIMIT: Final = 6.0
"""A move within so many mean deviations is the usual noise."""

ACCEPT_SAMPLES: Final = 512
"""A layer that has been away for so many samples is learned anew, unless it is at zero."""

ALL_AFTER: Final = 64
"""Samples after which a fall of all layers at once counts, where no whole norm tells of it."""

LARGEST_LOG: Final = 700.0
SMALLEST: Final = 1e-38
"""A smaller norm is none: the least normal number of single precision."""


@dataclass(slots=True)
class Layer:
    """Running means of the logarithm of one layer's norm beside the others', and its noise.

    `away` counts the samples in a row for which it has been up, or, below zero, down; `longest_up` and
    `longest_down` how long that lasted at most before it was over by itself.
    """

    lately: float = 0.0
    usual: float = 0.0
    noise: float = 0.0
    samples: int = 0
    away: int = 0
    onset_step: int = 0
    longest_up: int = 0
    longest_down: int = 0

    def learn(self, value: float) -> None:
        """Take in a value that is far off, or of a young layer."""
        self.samples += 1
        off, weight = value - self.lately, max(LATELY, YOUNG / (self.samples + YOUNG - 1.0))
        if self.samples > WARM_UP_SAMPLES:
            limit = max(CUT, 3.0 * self.noise)
            off = min(max(off, -limit), limit)
        self.lately += weight * off
        if self.samples > 1:
            self.noise += weight * (abs(off) - self.noise)
        if self.samples < YOUNG_SAMPLES:
            self.usual = self.lately

    def follow(self) -> None:
        """Let the long run come after what the layer did lately."""
        self.samples += 1
        weight = max(IN_THE_LONG_RUN, YOUNG / (self.samples - YOUNG_SAMPLES + 64.0))
        self.usual += weight * (self.lately - self.usual)

    def come_back(self) -> None:
        """It is within its noise again."""
        if self.away > 0:
            self.longest_up = max(self.longest_up, self.away)
        else:
            self.longest_down = max(self.longest_down, -self.away)
        self.away = 0


@dataclass(frozen=True, slots=True)
class Move:
    """A layer that is up, or down, for `samples` in a row: by the logarithm `by`, from `expected` to `value`.

    `longest` is for how many samples it was so at most before it was over by itself.
    """

    up: bool
    by: float
    noise: float
    value: float
    expected: float
    samples: int
    longest: int
    onset_step: int


Moves = Mapping[str, Move]
Known = tuple[str, Layer, float]


def has_layers(names: Iterable[str]) -> bool:
    """Whether any of the metrics is a layer's gradient norm."""
    return any([name[:PREFIX_LENGTH] == PREFIX for name in names])  # noqa: C419 - a list is half as dear


@dataclass(slots=True)
class LayerNorms:
    """Learns the first 128 layers, `min_rise` and `min_fall` the logarithms of the least moves that count.

    The median of all layers' changes is taken off each, so that what moves them all, a learning rate or a
    hard batch, moves none; and a move counts only as far as it shows against the layer's own past too. What
    is up is compared with its last hundred samples, what is down with its last thousand. Where the norm of
    the whole gradient is not sent, `whole`, nobody else sees what moves all: then a fall of all counts too.

    >>> layers = LayerNorms()
    >>> for step in range(100):
    ...     moves = layers.update(Sample(step, 0.0, {f"grad_norm/{i}": 1.0 + i for i in range(5)}))
    >>> for factor in (200.0, 0.001):
    ...     norms = {f"grad_norm/{i}": factor if i == 3 else 2.0 * (1.0 + i) for i in range(5)}
    ...     for name, move in layers.update(Sample(100, 0.0, norms)).items():
    ...         print(name, "up" if move.up else "down", move.value, round(move.expected, 1))
    grad_norm/3 up 200.0 4.0
    grad_norm/3 down 0.001 4.1
    """

    min_rise: float = log(5.0)
    min_fall: float = log(100.0)
    layers: dict[str, Layer] = field(default_factory=dict)
    common: float = 0.0
    common_lately: float = 0.0
    samples: int = 0
    whole: bool = False

    def update(self, sample: Sample) -> Moves:
        """Take the next sample; return the layers that are out of the ordinary, by metric name."""
        known, zeros, new = self._read(sample)
        moves: dict[str, Move] = {}
        if known:
            shift = self._shift([value - layer.lately for _, layer, value in known])
            self._judge(sample, known, shift, moves)
        if known or not self.whole:
            for name, layer in zeros:
                self._away(sample, name, layer, -inf, moves)
        for layer, value in new:
            layer.learn(value - self.common)
        return moves

    def _read(self, sample: Sample) -> tuple[list[Known], list[tuple[str, Layer]], list[tuple[Layer, float]]]:
        """Sort the layers of a sample: known ones, known ones at zero, and new ones."""
        known: list[Known] = []
        zeros: list[tuple[str, Layer]] = []
        new: list[tuple[Layer, float]] = []
        layers, common = self.layers, self.common
        for name, norm in sample.values.items():
            layer = layers.get(name)
            if layer is None:
                if len(layers) >= MOST_LAYERS or name[:PREFIX_LENGTH] != PREFIX:
                    continue
                layer = layers[name] = Layer()
            if layer.samples < WARM_UP_SAMPLES:
                if SMALLEST <= norm < inf:
                    new.append((layer, log(norm)))
            elif SMALLEST <= norm < inf:
                known.append((name, layer, log(norm) - common))
            elif 0.0 <= norm < SMALLEST:
                zeros.append((name, layer))
        return known, zeros, new

    def _shift(self, changes: list[float]) -> float:
        """Follow what all layers have in common: the median change; of two middle ones the smaller."""
        changes.sort()
        low, high = changes[(len(changes) - 1) // 2], changes[len(changes) // 2]
        shift = low if abs(low) < abs(high) else high
        self.common += shift
        self.common_lately += LATELY * min(max(self.common - self.common_lately, -CUT), CUT)
        return shift

    def _judge(self, sample: Sample, known: list[Known], shift: float, moves: dict[str, Move]) -> None:
        """Learn from each layer, or find it out of the ordinary: both by itself and beside the others."""
        own = self.common - self.common_lately
        own_up, own_down = min(own, 0.0), max(own, 0.0)
        min_rise, min_fall = self.min_rise, -self.min_fall
        if own <= min_fall and not self.whole and self.samples >= ALL_AFTER:
            own_down = own
        self.samples += 1
        follow = self.samples % LONG_RUN_EVERY == 0
        for name, layer, seen in known:
            value = seen - shift
            off = value - layer.lately
            fall = value - layer.usual + own_down
            if off + own_up >= min_rise and off + own_up >= NOISE_LIMIT * layer.noise:
                self._away(sample, name, layer, off + own_up, moves)
            elif fall <= min_fall and fall <= -NOISE_LIMIT * layer.noise:
                self._away(sample, name, layer, fall, moves)
            elif layer.away:
                layer.come_back()
            elif -CUT < off < CUT and layer.samples >= YOUNG_SAMPLES:
                layer.lately += LATELY * off
                layer.noise += LATELY * (abs(off) - layer.noise)
                if follow:
                    layer.follow()
            else:
                layer.learn(value)

    def _away(self, sample: Sample, name: str, layer: Layer, by: float, moves: dict[str, Move]) -> None:
        up = by > 0.0
        if layer.away and up != (layer.away > 0):
            layer.come_back()
        if layer.away == 0:
            layer.onset_step = sample.step
        layer.away += 1 if up else -1
        moves[name] = Move(
            up=up,
            by=by,
            noise=layer.noise,
            value=sample.values[name],
            expected=exp(min(self.common_lately + (layer.lately if up else layer.usual), LARGEST_LOG)),
            samples=abs(layer.away),
            longest=layer.longest_up if up else layer.longest_down,
            onset_step=layer.onset_step,
        )
        if abs(layer.away) >= ACCEPT_SAMPLES and by > -inf:
            self.layers[name] = Layer()

    def rewind(self) -> None:
        """The run went back: no layer is out of the ordinary, and what was learned stays."""
        for layer in self.layers.values():
            layer.away = 0
