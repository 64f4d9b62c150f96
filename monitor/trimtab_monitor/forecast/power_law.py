"""The saturating power law of a loss, L(t) = a + b (t / t0)^-c, fitted robustly.

For each exponent of a grid, a and b are a non-negative least-squares fit with Huber's weights (Huber 1964),
so that spikes count little. Loss curves of this form: Hestness et al. 2017, arXiv:1712.00409; Kaplan et al.
2020, arXiv:2001.08361.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final

import numpy as np
import numpy.typing as npt

Values = npt.NDArray[np.float64]

EXPONENTS: Final = np.geomspace(0.05, 3.0, 12)
HUBER: Final = 1.345
"""Beyond so many deviations a residual counts less: 95 % of the efficiency on normal noise."""

ROUNDS: Final = 2
MAD_TO_SIGMA: Final = 1.4826
LEAST_POINTS: Final = 10
ALIKE: Final = 2.0
"""Points of a smoothed curve are alike: so many tell as much as one."""

_TINY: Final = 1e-12


@dataclass(frozen=True, slots=True)
class Curve:
    """One curve: `level` is a, `fall` is b, `exponent` is c and `start` is t0. `fall_error` is that of b.

    `misfit` is the weighted sum of squared residuals.
    """

    level: float
    fall: float
    exponent: float
    start: float
    fall_error: float = 0.0
    misfit: float = 0.0

    def at(self, t: float) -> float:
        """The loss at t."""
        return self.level + self.fall * float((t / self.start) ** -self.exponent)

    def slope(self, t: float) -> float:
        """By how much the loss falls at t in a step: -dL/dt."""
        return self.fall * self.exponent * float((t / self.start) ** -self.exponent) / t

    def when(self, loss: float) -> float | None:
        """The t at which the loss is that low, None if it never is."""
        if self.fall <= 0 or loss <= self.level:
            return None
        with np.errstate(over="ignore"):
            t = float(self.start * np.float64((loss - self.level) / self.fall) ** (-1.0 / self.exponent))
        return t if np.isfinite(t) else None


@dataclass(frozen=True, slots=True)
class PowerLaw:
    """The curves of all exponents tried; `best` fits best. `noise` is the deviation of points from it."""

    curves: tuple[Curve, ...]
    best: Curve
    noise: float
    points: int

    def draws(self, rng: np.random.Generator, size: int) -> list[Curve]:
        """Curves that may be the true one, each as often as the points speak for it."""
        spread = max(self.best.misfit / max(1, self.points - 3), _TINY) * ALIKE
        odds = np.exp(-0.5 * (np.array([each.misfit for each in self.curves]) - self.best.misfit) / spread)
        chosen = rng.choice(len(self.curves), size, p=odds / odds.sum())
        shaken = rng.standard_normal(size)
        return [_shaken(self.curves[i], float(by)) for i, by in zip(chosen, shaken, strict=True)]


def fit(t: Values, loss: Values) -> PowerLaw:
    """Fit points in order of t, which is above 0; at least `LEAST_POINTS` of them, all finite."""
    start = float(t[0])
    curves = tuple(_fit_one(t, loss, start, float(exponent)) for exponent in EXPONENTS)
    best = min(curves, key=lambda curve: curve.misfit)
    noise = _deviation(loss - np.array([best.at(each) for each in t]))
    return PowerLaw(curves, best, noise, len(t))


def _fit_one(t: Values, loss: Values, start: float, exponent: float) -> Curve:
    # Takes a second to import, and most that a collector does needs no forecast.
    from sklearn.linear_model import LinearRegression  # type: ignore[import-untyped]

    falling = (t / start) ** -exponent
    may_be_negative = bool(loss.min() < 0)
    columns = falling[:, None] if may_be_negative else np.stack([np.ones_like(falling), falling], axis=1)
    model = LinearRegression(fit_intercept=may_be_negative, positive=True)
    weights = np.ones_like(loss)
    for _ in range(ROUNDS):
        model.fit(columns, loss, sample_weight=weights)
        rest = loss - model.predict(columns)
        weights = np.minimum(1.0, HUBER * _deviation(rest) / np.maximum(np.abs(rest), _TINY))
    level, fall = (model.intercept_, model.coef_[0]) if may_be_negative else model.coef_
    spread = float(np.average((falling - np.average(falling, weights=weights)) ** 2, weights=weights))
    error = _deviation(rest) / max(_TINY, (spread * len(t)) ** 0.5) * ALIKE**0.5
    misfit = float((weights * rest * rest).sum())
    return Curve(float(level), float(fall), exponent, start, error, misfit)


def _deviation(rest: Values) -> float:
    return float(MAD_TO_SIGMA * np.median(np.abs(rest))) + _TINY


def _shaken(curve: Curve, by: float) -> Curve:
    return Curve(
        curve.level,
        max(0.0, curve.fall + by * curve.fall_error),
        curve.exponent,
        curve.start,
        0.0,
        curve.misfit,
    )
