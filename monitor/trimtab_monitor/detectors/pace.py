"""How fast each rank is, over rounds of steps, so that ranks are compared over the same steps."""

from __future__ import annotations

from dataclasses import dataclass, field
from math import ceil, inf, log, log2
from typing import Final

FEWEST_STEPS: Final = 8
"""A round has so many steps, or more."""

FEWEST_SAMPLES: Final = 4
"""It has so many samples of a rank, or more: one that is of many steps is their median, and less noisy."""

SHORTEST_ROUND_S: Final = 4.0
"""It lasts so many seconds, or longer: batches of different ranks come up to some seconds apart."""

LONGEST_ROUND_S: Final = 24.0
LARGEST_ROUND: Final = 2**40
LARGEST_RESIDUAL: Final = 0.5
"""One step counts for at most so much off its rank's level, in logarithms: a pause is not a pace."""

QUORUM: Final = 0.75
"""Where a round was not closed by all, this share of the ranks is enough."""

ROUNDS_MISSED: Final = 8
"""A rank that closed none of so many rounds is forgotten."""

MAX_RANKS: Final = 2048
"""So many ranks are compared, the first that are heard of; others are passed over."""


@dataclass(slots=True)
class Pace:
    """One rank. `level` is the logarithm of its seconds a step, `excess` the sum of what differs from that.

    `round` is the one under way, `closed` the last one done, -1 for none; `rounds` counts up to 2.
    """

    level: float
    excess: float = 0.0
    samples: int = 0
    round: int = -1
    closed: int = -1
    rounds: int = 0


@dataclass(slots=True)
class Paces:
    """The paces of all ranks. A round's level is the mean of its logarithms, each cut (Huber 1964).

    A rank's first round only finds its least value, for the first steps may compile. `closing` is the newest
    round that some rank has closed, `count` how many have, `judged` the last that was compared. The round of
    the lowest rank, `lead`, `began` at that time, -inf where that was not seen.

    >>> paces = Paces()
    >>> for step in range(25):
    ...     for rank in range(3):
    ...         levels = paces.add(rank, step, float(step), 2.0 if rank == 1 else 1.0)
    ...         if levels:
    ...             print(step, {rank: round(level, 2) for rank, level in levels.items()})
    16 {0: 0.0, 1: 0.69, 2: 0.0}
    24 {0: 0.0, 1: 0.69, 2: 0.0}
    """

    ranks: dict[int, Pace] = field(default_factory=dict)
    round_steps: int = FEWEST_STEPS
    lead: int = -1
    began: float = -inf
    closing: int = -1
    count: int = 0
    judged: int = -1

    def add(self, rank: int, step: int, time: float, seconds: float) -> dict[int, float]:
        """Take a step of a rank; return the levels to compare where this completes a round, else none."""
        unit = log(seconds)
        pace = self.ranks.get(rank)
        if pace is None:
            if len(self.ranks) >= MAX_RANKS:
                return {}
            pace = self._meet(rank, unit)
        levels: dict[int, float] = {}
        number = step // self.round_steps
        if number != pace.round:
            if number == pace.round - 1:  # late
                return {}
            levels = self._turn(rank, pace, step, time)
        if pace.rounds:
            pace.excess += max(-LARGEST_RESIDUAL, min(unit - pace.level, LARGEST_RESIDUAL))
        elif unit < pace.level:
            pace.level = unit
        pace.samples += 1
        return levels

    def rewind(self) -> None:
        """The steps of the rounds under way come again, or in other rounds: keep the levels only."""
        self.closing = self.judged = -1
        self.count, self.began = 0, -inf
        for pace in self.ranks.values():
            pace.excess, pace.samples, pace.round, pace.closed = 0.0, 0, -1, -1

    def _meet(self, rank: int, unit: float) -> Pace:
        pace = self.ranks[rank] = Pace(unit)
        self._lead()
        return pace

    def _lead(self) -> None:
        """The lowest rank leads; when a round of another began says nothing of its own."""
        lowest = min(self.ranks)
        if lowest != self.lead:
            self.lead, self.began = lowest, -inf

    def _turn(self, rank: int, pace: Pace, step: int, time: float) -> dict[int, float]:
        """A rank goes over to another round."""
        if step // self.round_steps < pace.round:
            self.rewind()
        levels = self._close(pace) if pace.round >= 0 else {}
        anew = rank == self.lead and self._resize(pace, time)
        pace.excess, pace.samples = 0.0, 0
        pace.round = -1 if anew else step // self.round_steps
        return {} if anew else levels  # a round that was too short says too little

    def _close(self, pace: Pace) -> dict[int, float]:
        """Close the round of a rank; compare once all have closed it, or most have and one is further."""
        levels: dict[int, float] = {}
        if pace.round > self.closing:
            if self.count >= max(2.0, QUORUM * len(self.ranks)):
                levels = self._levels()
            self.closing, self.count = pace.round, 0
        if pace.rounds:
            pace.level += pace.excess / max(pace.samples, FEWEST_SAMPLES)
        pace.rounds = min(2, pace.rounds + 1)
        pace.closed = pace.round
        self.count += pace.closed == self.closing
        if self.count == len(self.ranks) > 1:
            levels = self._levels()
        return levels

    def _levels(self) -> dict[int, float]:
        if self.judged >= self.closing:
            return {}
        self.judged = self.closing
        for rank in [rank for rank, pace in self.ranks.items() if self._is_gone(pace)]:
            del self.ranks[rank]
        self._lead()
        return {
            rank: pace.level
            for rank, pace in self.ranks.items()
            if pace.closed == self.closing and pace.rounds > 1
        }

    def _is_gone(self, pace: Pace) -> bool:
        return max(pace.closed, pace.round) < self.closing - ROUNDS_MISSED

    def _resize(self, pace: Pace, time: float) -> bool:
        """Fit the rounds to how fast samples come, by the clock of the lowest rank; True: they begin anew."""
        lasted, self.began = time - self.began, time if pace.round >= 0 else -inf
        if not 0.0 < lasted < inf or pace.samples == 0:
            return False
        short = max(FEWEST_SAMPLES / pace.samples, SHORTEST_ROUND_S / lasted)
        if short > 1.0 and self.round_steps < LARGEST_ROUND:
            self.round_steps <<= ceil(min(log2(short), 10.0))
            self.rewind()
            return True
        if lasted > LONGEST_ROUND_S and pace.samples >= 2 * FEWEST_STEPS < self.round_steps:
            self._halve()
        return False

    def _halve(self) -> None:
        """Go on with rounds of half the length: what is under way is the second half of what it was."""
        self.round_steps >>= 1
        self.closing, self.judged = 2 * self.closing + 1, 2 * self.judged + 1
        for pace in self.ranks.values():
            pace.round, pace.closed = 2 * pace.round + 1, 2 * pace.closed + 1
