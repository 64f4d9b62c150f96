"""Cases in which nothing is wrong, and nobody must be paged."""

from __future__ import annotations

import numpy as np
from numpy.random import Generator

from detection_bench.cases.base import ONSET, ROWS, SIGMA, Made, healthy
from detection_bench.curves import Curve, Values

OUTLIERS = (700, 1300, 2000, 2600)
EPOCH_ROWS = 250


def clean(random: Generator) -> Curve:
    """A healthy run from its first step."""
    return healthy(random).curve("clean")


def heavy_t3(random: Generator) -> Curve:
    """Noise of infinite kurtosis (Student, 3 degrees of freedom) and the same standard deviation."""
    return healthy(random, degrees=3.0).curve("heavy_t3")


def loss_only(random: Generator) -> Curve:
    """A healthy run that logs no gradient norm, with twice the noise."""
    return healthy(random, sigma=2 * SIGMA).curve("loss_only", with_grad_norm=False)


def outlier_8_sigma(random: Generator) -> Curve:
    """Four single steps eight standard deviations too high."""
    made = healthy(random)
    made.level[list(OUTLIERS)] += 8 * SIGMA
    return made.curve("outlier_8_sigma")


def outlier_x1_3(random: Generator) -> Curve:
    """Four single steps with 1.3 times the loss and 8 times the gradient norm."""
    return _outliers(random, 1.3, 8.0, "outlier_x1_3")


def outlier_x3_2(random: Generator) -> Curve:
    """Four single steps with 3.2 times the loss: nobody can know at once that it will come back."""
    return _outliers(random, 3.2, 8.0, "outlier_x3_2")


def _outliers(random: Generator, loss: float, grad_norm: float, name: str) -> Curve:
    made = healthy(random)
    made.level[list(OUTLIERS)] *= loss
    made.grad_norm[list(OUTLIERS)] *= grad_norm
    return made.curve(name)


def rate_warm_up(random: Generator) -> Curve:
    """The learning rate warms up over 200 steps: a slow start, a steep fall, a gradient norm that falls."""
    made = healthy(random)
    steps = np.arange(ROWS)
    warmed = np.minimum(1.0, steps / 200.0)
    made.level = 1.9 + 9.0 * (1.0 + np.cumsum(warmed) / 20.0) ** -0.55
    made.grad_norm *= 1.0 + 10.0 * np.exp(-steps / 80.0)
    return _with_rate(made, "rate_warm_up", 3e-4 * warmed)


def rate_restart(random: Generator) -> Curve:
    """A warm restart: the rate climbs back tenfold in 100 steps, the loss by 3 %, its noise by a third."""
    made = healthy(random)
    since = np.arange(ROWS - ONSET)
    swell = np.minimum(1.0, since / 100.0) * np.exp(-np.maximum(0, since - 100) / 300.0)
    made.level[ONSET:] *= 1.0 + 0.03 * swell
    made.noise[ONSET:] *= 1.0 + 0.33 * swell
    made.grad_norm[ONSET:] *= 1.0 + 0.3 * swell
    return _with_rate(
        made,
        "rate_restart",
        np.concatenate([np.geomspace(3e-4, 3e-5, ONSET), 3e-5 * (1.0 + 9.0 * swell)]),
    )


def _with_rate(made: Made, name: str, lr: Values) -> Curve:
    plain = made.curve(name)
    return Curve(name, plain.steps, {**plain.columns, "lr": lr})


def smaller_batch(random: Generator) -> Curve:
    """A batch a quarter as large: twice the noise, at the same level, and a larger gradient norm."""
    made = healthy(random)
    made.noise[ONSET:] *= 2.0
    made.grad_norm[ONSET:] *= 1.5
    return made.curve("smaller_batch")


def larger_batch(random: Generator) -> Curve:
    """A batch four times as large for 500 steps: half the noise, and then again what it was."""
    made = healthy(random)
    made.noise[ONSET : ONSET + 500] *= 0.5
    made.grad_norm[ONSET : ONSET + 500] *= 0.7
    return made.curve("larger_batch")


def sawtooth(random: Generator) -> Curve:
    """Within each epoch of 250 steps the loss creeps up by 3 %, and drops where the next begins."""
    made = healthy(random)
    made.level *= 1.0 + 0.03 * (np.arange(ROWS) % EPOCH_ROWS) / EPOCH_ROWS
    return made.curve("sawtooth")


def epoch_jumps(random: Generator) -> Curve:
    """At the beginning of each epoch the loss is 4 % higher, which fades within 30 steps."""
    made = healthy(random)
    made.level *= 1.0 + 0.04 * np.exp(-(np.arange(ROWS) % EPOCH_ROWS) / 10.0)
    return made.curve("epoch_jumps")


def benign_shift(random: Generator) -> Curve:
    """The loss is 4 % higher from one step on: another mix of data."""
    made = healthy(random)
    made.level[ONSET:] *= 1.04
    return made.curve("benign_shift")


def improves(random: Generator) -> Curve:
    """The loss drops by a fifth from one step on."""
    made = healthy(random)
    made.level[ONSET:] *= 0.8
    return made.curve("improves")


def improves_for_a_while(random: Generator) -> Curve:
    """The loss is a tenth lower for 20 steps, and then what it was."""
    made = healthy(random)
    made.level[ONSET : ONSET + 20] *= 0.9
    return made.curve("improves_for_a_while")


def out_of_order(random: Generator) -> Curve:
    """Two neighbouring steps come in the wrong order, five times."""
    made = healthy(random)
    for row in range(500, ROWS, 500):
        made.steps[row], made.steps[row + 1] = made.steps[row + 1], made.steps[row]
    return made.curve("out_of_order")


def gap(random: Generator) -> Curve:
    """Five thousand steps are missing in the log."""
    made = healthy(random)
    made.steps = [step + 5000 * (step > ONSET) for step in made.steps]
    return made.curve("gap")


def constant(random: Generator) -> Curve:
    """Loss and gradient norm never change."""
    made = healthy(random)
    made.level[:], made.noise[:], made.grad_norm[:] = 2.0, 0.0, 1.0
    return made.curve("constant")


def crosses_zero(random: Generator) -> Curve:
    """An objective that falls from above zero to below."""
    made = healthy(random)
    made.level -= 2.6
    return made.curve("crosses_zero")


def repeated_steps(random: Generator) -> Curve:
    """Every step is logged twice, the second time with the same values."""
    made = healthy(random)
    for values in (made.level, made.noise, made.grad_norm):
        values[1::2] = values[::2]
    made.steps = [step // 2 for step in range(ROWS)]
    return made.curve("repeated_steps")
