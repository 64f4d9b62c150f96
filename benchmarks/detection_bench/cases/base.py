"""What cases are made of: a falling loss with heavy-tailed, correlated noise, and a gradient norm."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
from numpy.random import Generator

from detection_bench.curves import Curve, Event, Values

ROWS: Final = 3000
ONSET: Final = 2000
SIGMA: Final = 0.03
"""Standard deviation of the loss's noise."""

MEMORY: Final = 0.3
"""Correlation of the noise of one step with that of the step before."""

DEGREES: Final = 6.0
"""Of freedom, of the Student distribution of the noise: fewer make heavier tails."""

GRAD_NORM: Final = 0.3
GRAD_SPREAD: Final = 0.18


@dataclass(slots=True)
class Made:
    """A series while it is being made: loss without noise, the noise, gradient norm, steps."""

    level: Values
    noise: Values
    grad_norm: Values
    steps: list[int]

    def curve(self, name: str, *events: Event, with_grad_norm: bool = True) -> Curve:
        """The finished curve, with what is true of it."""
        columns = {"loss": self.level + self.noise}
        if with_grad_norm:
            columns["grad_norm"] = self.grad_norm
        return Curve(name, self.steps, columns, events)


def healthy(
    random: Generator, rows: int = ROWS, *, degrees: float = DEGREES, every: int = 1, sigma: float = SIGMA
) -> Made:
    """A run that goes well, a row `every` steps: loss 1.9 + 9 (1 + t / 20)^-0.55, log-normal gradients."""
    steps = np.arange(1, rows + 1) * every
    return Made(
        level=1.9 + 9.0 * (1.0 + steps / 20.0) ** -0.55,
        noise=sigma * unit_noise(random, rows, degrees),
        grad_norm=GRAD_NORM * np.exp(GRAD_SPREAD * random.standard_normal(rows)),
        steps=steps.tolist(),
    )


def unit_noise(random: Generator, rows: int, degrees: float = DEGREES) -> Values:
    """Autoregressive Student noise of standard deviation 1."""
    shocks = random.standard_t(degrees, rows) / np.sqrt(degrees / (degrees - 2.0))
    shocks[1:] *= np.sqrt(1.0 - MEMORY**2)
    noise: Values = shocks.copy()
    for row in range(1, rows):
        noise[row] += MEMORY * noise[row - 1]
    return noise


def until(kind: str, start: int = ONSET, end: int = ROWS) -> Event:
    """An event that must be found, by default from the onset to the end."""
    return Event(kind, start, end)
