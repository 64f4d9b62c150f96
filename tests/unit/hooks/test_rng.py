"""Random states come back, and reading them draws nothing."""

from __future__ import annotations

import random

import numpy as np
import torch

from trimtab.rewind import rng


def draws() -> tuple[float, float, float]:
    return random.random(), float(np.random.random()), float(torch.rand(()))


def test_the_same_numbers_are_drawn_again() -> None:
    state = rng.capture()
    first = draws()
    assert draws() != first
    rng.restore(state)
    assert draws() == first


def test_a_state_can_be_restored_twice() -> None:
    state = rng.capture()
    first = draws()
    for _ in range(2):
        rng.restore(state)
        assert draws() == first


def test_capturing_draws_nothing() -> None:
    state = rng.capture()
    first = draws()
    rng.restore(state)
    rng.capture()
    assert draws() == first
