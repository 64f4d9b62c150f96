"""Energy and time from here to a run's last step.

time   = steps to live x (seconds a step at the pace of now + seconds of pauses a step) + stops
energy = steps to live x (joules a step at the pace of now + joules of pauses a step) + stops

Steps to live are those to go and those that will be done again, as often as the run has gone back so far.
Nothing but the run itself is asked: what has never happened to it is not foreseen.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

import numpy as np

from trimtab_monitor.folding.effort import Pauses
from trimtab_monitor.forecast.band import Band, Draws, band_of
from trimtab_monitor.forecast.pace import Amount, draw_rate

DRAWS: Final = 2000
SEED: Final = 20
LEAST_WINDOWS: Final = 4
LEAST_STEPS: Final = 20
MOST_EVENTS: Final = 1e9
LEAST_FREEDOM: Final = 2.0
"""A deviation known from two or three is too small as often as not: Student's t with so many degrees."""

EDGE: Final = 1.0 / 12.0
"""The variance of how far into a gap the forecast begins and ends."""


@dataclass(frozen=True, slots=True)
class Stretch:
    """Some steps: how long they took, `paused_s` of it beside training, and IT energy, None if not known."""

    steps: int
    seconds: float
    paused_s: float
    joules: float | None


@dataclass(frozen=True, slots=True)
class Stops:
    """How often the run began again, the steps done again for it, and the time and energy in between.

    `seconds` and `joules` are of `told` of them.
    """

    count: int = 0
    redone: int = 0
    told: int = 0
    seconds: float = 0.0
    joules: float = 0.0


@dataclass(frozen=True, slots=True)
class ToGo:
    """What is still to come: seconds, and joules of IT energy, None where no energy is measured.

    `lived_s` is the time of the steps so far, `pause_share` the part of the time to come that is spent beside
    training, `redo_share` the steps done again over those that count.
    """

    steps: int
    seconds: Band
    joules: Band | None
    lived_s: float
    pause_share: float
    redo_share: float


def to_go(stretches: Sequence[Stretch], pauses: Pauses, stops: Stops, steps: int) -> ToGo | None:
    """What the next `steps` steps will take; None while too little is known."""
    lived = sum(each.steps for each in stretches)
    lived_s = sum(each.seconds for each in stretches) + stops.seconds
    if len(stretches) < LEAST_WINDOWS or lived < LEAST_STEPS:
        return None
    if steps <= 0:
        done = Band(0.0, 0.0, 0.0)
        return ToGo(0, done, done, lived_s, 0.0, 0.0)
    rng = np.random.default_rng(SEED)
    events = _events(stops.count, max(1, lived - stops.redone), steps, rng)
    to_live = steps + _redone(stops, events, rng)
    trained = [Amount(each.steps, each.seconds - each.paused_s) for each in stretches]
    pause_s = _pauses_a_step(pauses, lived, steps, rng)
    step_s = draw_rate(trained, steps, rng, DRAWS)
    stopped = _lasting(events, stops.told, rng)
    seconds = to_live * (step_s + pause_s) + stopped * stops.seconds
    joules = _joules(stretches, steps, to_live, pause_s, rng)
    if joules is not None:
        joules = joules + stopped * stops.joules
    return ToGo(
        steps,
        band_of(seconds),
        None if joules is None else band_of(joules),
        lived_s,
        float(pause_s.mean()) / max(float((step_s + pause_s).mean()), 1e-12),
        float(np.mean(to_live / steps)) - 1.0,
    )


def _events(count: int, gone: int, steps: int, rng: np.random.Generator) -> Draws:
    """How often it will go back: a Poisson process, `count` times in `gone` steps ahead so far."""
    if count == 0:
        return np.zeros(DRAWS)
    rates = rng.gamma(count + 0.5, 1.0 / gone, DRAWS)
    drawn: Draws = rng.poisson(np.minimum(rates * steps, MOST_EVENTS)).astype(np.float64)
    return drawn


def _redone(stops: Stops, events: Draws, rng: np.random.Generator) -> Draws:
    """The steps done again: each time about as many as so far, sometimes few and sometimes many."""
    return _lasting(events, stops.count, rng) * stops.redone


def _lasting(events: Draws, known: int, rng: np.random.Generator) -> Draws:
    """What events to come take in all, over what the `known` ones took: each may be short or long.

    Each is exponential, of a mean that is known from so many only.
    """
    if known == 0:
        return np.zeros(DRAWS)
    drawn: Draws = rng.gamma(np.maximum(events, 1e-9)) * (events > 0) / rng.gamma(known + 1.0, size=DRAWS)
    return drawn


def _pauses_a_step(pauses: Pauses, lived: int, steps: int, rng: np.random.Generator) -> Draws:
    """Seconds of pauses a step: a renewal process, so that regular checkpoints are foreseen as such.

    Over N steps with gaps of mean m and deviation s there are about N / m pauses, with variance
    N s^2 / m^3 (Cox 1962, Renewal Theory).
    """
    k = pauses.count
    if k == 0:
        return np.zeros(DRAWS)
    overdue = pauses.since > 2 * pauses.steps / k  # a pause that was once, and does not come again
    gap, size = (lived if overdue else pauses.steps) / k, pauses.seconds / k
    gap_sd = _deviation(pauses.steps_sq, pauses.steps, k, gap)
    size_sd = _deviation(pauses.seconds_sq, pauses.seconds, k, size)
    few = max(LEAST_FREEDOM, k - 1.0)
    gaps = np.maximum(gap + gap_sd / k**0.5 * rng.standard_t(few, DRAWS), 0.1 * gap)
    counts = steps / gaps + (steps * gap_sd**2 / gap**3 + EDGE) ** 0.5 * rng.standard_normal(DRAWS)
    counts = np.maximum(counts, 0.0)
    sizes = size + size_sd * (k**-0.5 * rng.standard_t(few, DRAWS))
    own = size_sd * np.sqrt(counts) * rng.standard_normal(DRAWS)
    drawn: Draws = np.maximum(counts * sizes + own, 0.0) / steps
    return drawn


def _deviation(squares: float, total: float, count: int, alone: float) -> float:
    """The standard deviation; that of one only is taken to be as large as it is."""
    return alone if count < 2 else float(max(0.0, squares - total**2 / count) / (count - 1)) ** 0.5


def _joules(
    stretches: Sequence[Stretch], steps: int, to_live: Draws, pause_s: Draws, rng: np.random.Generator
) -> Draws | None:
    known = [each for each in stretches if each.joules is not None]
    if len(known) < LEAST_WINDOWS or len(known) < len(stretches) / 2:
        return None
    pause_w = _pause_power_w(known)
    trained = [Amount(each.steps, (each.joules or 0.0) - pause_w * each.paused_s) for each in known]
    drawn: Draws = to_live * (draw_rate(trained, steps, rng, DRAWS) + pause_w * pause_s)
    return drawn


def _pause_power_w(stretches: Sequence[Stretch]) -> float:
    """The power in pauses: what stretches with pauses used beyond training, at most as much as training."""
    free = [each for each in stretches if each.paused_s == 0.0]
    paused = [each for each in stretches if each.paused_s > 0.0]
    of = free or stretches
    train_w = sum(each.joules or 0.0 for each in of) / sum(each.seconds for each in of)
    if not paused or not free:
        return train_w
    rest = sum((each.joules or 0.0) - train_w * (each.seconds - each.paused_s) for each in paused)
    return min(train_w, max(0.0, rest / sum(each.paused_s for each in paused)))
