"""The loss to come: at the run's end, a little further on, and when it is as low as somebody wants it.

The interval is wider below than above. A learning rate that decays towards the end lets the loss fall
further than the power law of before, and nobody tells the collector of the schedule. On recorded public
training curves, forecast from 30, 50 and 80 % of the way, the interval held the level at the end about
eight times of ten.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np

from trimtab_monitor.forecast.band import Band, band_of
from trimtab_monitor.forecast.power_law import LEAST_POINTS, Curve, PowerLaw, Values, fit

POINTS: Final = 60
YOUNG: Final = 0.1
"""The first part of a run, its warm-up, is no part of the power law."""

BACK: Final = (0.4, 0.6, 0.8)
"""The present is forecast from these parts of the way to here, to see how well that goes."""

DOWN: Final = 2.4
UP: Final = 0.4
"""How far the interval reaches, in units of the forecast's doubt."""

DRAWS: Final = 400
SEED: Final = 22
LEAST_ROWS: Final = 50
LARGEST: Final = 1e100
"""A loss that is larger has diverged, and its square may be none that a float can hold."""


@dataclass(frozen=True, slots=True)
class LossForecast:
    """The power law of a loss, `now` its level and `step` the last step; `doubt` is a unit of log time's."""

    law: PowerLaw
    step: float
    now: float
    doubt: float

    def at(self, step: float) -> Band:
        """The loss at a step to come; the level, without the noise of single steps."""
        expected = self.law.best.at(step)
        ahead = np.log(max(step, self.step) / self.step)
        doubt = float(np.sqrt((self.doubt * ahead) ** 2 + (self.now - expected) ** 2 + self.law.noise**2))
        return Band(expected - DOWN * doubt, expected, expected + UP * doubt)

    def gain(self, steps: float) -> Band:
        """By how much the next steps lower the loss."""
        return self._band([each.at(self.step) - each.at(self.step + steps) for each in self._draws()])

    def slope(self) -> Band:
        """By how much a step lowers the loss now."""
        return self._band([each.slope(self.step) for each in self._draws()])

    def steps_to(self, loss: float) -> Band | None:
        """How many more steps it takes to get there; None if it is as likely as not never to."""
        if loss >= self.now:
            return Band(0.0, 0.0, 0.0)
        found = [each.when(loss) for each in self._draws()]
        known = np.array([np.inf if each is None else max(0.0, each - self.step) for each in found])
        low, expected, high = np.quantile(known, (0.1, 0.5, 0.9), method="nearest").tolist()
        return Band(low, expected, high) if np.isfinite(expected) else None

    def _draws(self) -> list[Curve]:
        return self.law.draws(np.random.default_rng(SEED), DRAWS)

    def _band(self, values: list[float]) -> Band:
        return band_of(np.array(values))


def loss_forecast(steps: Values, losses: Values) -> LossForecast | None:
    """Fit a loss over steps, in order; what is not finite is left out. None while there is too little."""
    sound = (np.abs(losses) < LARGEST) & (steps > 0)
    steps, losses = steps[sound], losses[sound]
    if len(steps) < LEAST_ROWS:
        return None
    t, level = _points(steps, losses)
    law = fit(t, level)
    now = float(np.median(level[-3:]))
    return LossForecast(law, float(steps[-1]), now, _doubt(steps, losses, now))


def _doubt(steps: Values, losses: Values, now: float) -> float:
    """How far forecasts of the present, made earlier, were off, for each unit of the logarithm of time."""
    off = []
    for part in BACK:
        upto = int(np.searchsorted(steps, steps[0] + part * (steps[-1] - steps[0])))
        t, level = _points(steps[:upto], losses[:upto])
        if len(t) >= LEAST_POINTS:
            off.append((now - fit(t, level).best.at(steps[-1])) / np.log(steps[-1] / t[-1]))
    return float(np.sqrt(np.mean(np.square(off)))) if off else abs(now)


def _points(steps: Values, losses: Values) -> tuple[Values, Values]:
    """Medians over equal parts of the rows, without the young ones."""
    first = int(np.searchsorted(steps, steps[0] + YOUNG * (steps[-1] - steps[0]))) if len(steps) else 0
    parts = np.array_split(np.arange(first, len(steps)), max(1, min(POINTS, len(steps) - first)))
    t = np.array([steps[part].mean() for part in parts if len(part)])
    return t, np.array([np.median(losses[part]) for part in parts if len(part)])
