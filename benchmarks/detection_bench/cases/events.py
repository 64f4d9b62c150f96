"""Cases in which something happens that must be found, and how soon."""

from __future__ import annotations

from math import inf, nan

import numpy as np
from numpy.random import Generator

from detection_bench.cases.base import ONSET, ROWS, SIGMA, healthy, until
from detection_bench.curves import Curve

BLOOM_LOSS = (2.199, 2.220, 2.595, 2.242, 2.345, 5.098)
BLOOM_GRAD_NORM = (0.242, 0.947, 2.39, 15.9, 145.0, 960.0)
"""BLOOM-176B's one spike, iteration by iteration (bigscience, chronicles of tr11-176B-ml, 2022-04-12).

The first value of each is the last healthy one."""

BLOOM_STEPS = 30
"""The run was back to normal after so many iterations."""


def bloom(random: Generator) -> Curve:
    """BLOOM-176B's spike as ratios to its last healthy step; it decays after its peak."""
    made = healthy(random)
    rows = slice(ONSET, ONSET + len(BLOOM_LOSS) - 1)
    made.level[rows] *= np.array(BLOOM_LOSS[1:]) / BLOOM_LOSS[0]
    made.grad_norm[rows] *= np.array(BLOOM_GRAD_NORM[1:]) / BLOOM_GRAD_NORM[0]
    fading = np.exp(-np.arange(1, BLOOM_STEPS + 1) / 8.0)
    after = slice(rows.stop, rows.stop + BLOOM_STEPS)
    made.level[after] *= 1.0 + 1.3 * fading
    made.grad_norm[after] *= 1.0 + 50.0 * fading
    return made.curve("bloom", until("spike", end=after.stop))


def non_finite(random: Generator) -> Curve:
    """Loss NaN, loss infinite or gradient norm NaN from one step on, by chance."""
    made = healthy(random)
    what = random.integers(3)
    if what == 2:
        made.grad_norm[ONSET:] = nan
    else:
        made.level[ONSET:] = (nan, inf)[what]
    return made.curve("non_finite", until("nan"))


def all_nan(random: Generator) -> Curve:
    """Never anything but NaN."""
    made = healthy(random, 200)
    made.level[:] = nan
    return made.curve("all_nan", until("nan", 0, 200), with_grad_norm=False)


def drift(random: Generator) -> Curve:
    """The loss creeps up by 0.1 standard deviations of its noise a step."""
    made = healthy(random)
    made.level[ONSET:] += 0.1 * SIGMA * np.arange(1, ROWS - ONSET + 1)
    return made.curve("drift", until("divergence"))


def level(random: Generator) -> Curve:
    """The loss is 1.5 times higher from one step on, and stays there."""
    made = healthy(random)
    made.level[ONSET:] *= 1.5
    return made.curve("level", until("level_shift"))


def short_spike(random: Generator) -> Curve:
    """The loss is 1.3 times higher for eight steps."""
    made = healthy(random)
    made.level[ONSET : ONSET + 8] *= 1.3
    return made.curve("short_spike", until("spike", end=ONSET + 7))


def early(random: Generator) -> Curve:
    """The loss doubles for ten steps, 45 steps into the run."""
    made = healthy(random, 300)
    made.level[45:55] *= 2.0
    return made.curve("early", until("spike", 45, 54))


def sparse_10(random: Generator) -> Curve:
    """Logged every 10 steps: the loss is 1.5 times higher for five rows."""
    made = healthy(random, 1000, every=10)
    made.level[700:705] *= 1.5
    return made.curve("sparse_10", until("spike", 700, 704))


def sparse_100(random: Generator) -> Curve:
    """Logged every 100 steps: the same, in a log of 300 rows."""
    made = healthy(random, 300, every=100)
    made.level[200:205] *= 1.5
    return made.curve("sparse_100", until("spike", 200, 204))


def negative(random: Generator) -> Curve:
    """An objective that is below zero (here by 6), and rises by a quarter of its size."""
    made = healthy(random)
    made.level -= 6.0
    made.level[ONSET:] += 1.0
    return made.curve("negative", until("level_shift"))


def tiny(random: Generator) -> Curve:
    """All values times 1e-30; the loss goes up 1.5 times."""
    return _scaled(random, 1e-30, "tiny")


def huge(random: Generator) -> Curve:
    """All values times 1e30; the loss goes up 1.5 times."""
    return _scaled(random, 1e30, "huge")


def _scaled(random: Generator, factor: float, name: str) -> Curve:
    made = healthy(random)
    made.level[ONSET:] *= 1.5
    made.level *= factor
    made.noise *= factor
    made.grad_norm *= factor
    return made.curve(name, until("level_shift"))


def integers(random: Generator) -> Curve:
    """A loss in whole numbers around 20, which becomes 1.5 times as high."""
    made = healthy(random)
    made.level[ONSET:] *= 1.5
    made.level = np.round(10.0 * (made.level + made.noise))
    made.noise[:] = 0.0
    return made.curve("integers", until("level_shift"), with_grad_norm=False)


def resumed_then_level(random: Generator) -> Curve:
    """The run is started again 300 steps back; 500 steps later the loss is 1.5 times higher."""
    made = healthy(random)
    made.steps = [*made.steps[:ONSET], *range(ONSET - 299, ROWS - 299)]
    made.level[ONSET:] = made.level[ONSET - 300 : ROWS - 300]
    made.level[ONSET + 500 :] *= 1.5
    return made.curve("resumed_then_level", until("level_shift", ONSET + 500))
