"""A rank that is lastingly slower than the others, which all wait for it at every step."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field
from math import exp, inf, log
from statistics import median, median_low
from typing import Annotated, ClassVar, Final

from pydantic import ConfigDict, Field
from pydantic.dataclasses import dataclass as settings_dataclass

from trimtab import wire
from trimtab_monitor.detectors.pace import Paces
from trimtab_monitor.types import Finding, Sample

FASTEST_S: Final = 1e-9
SLOWEST_S: Final = 1e9
RANKS_FOR_SPREAD: Final = 4
"""Fewer ranks have no spread to speak of: only the ratio counts."""

LEAST_SPREAD: Final = 0.02
"""The least spread of the ranks that is believed, as a fraction of their seconds a step."""

OVER: Final = 0.5
"""Slow no more: below this share of what makes a rank slow."""

ALIKE: Final = 0.75
"""A rank above this share of what makes one slow from the start is like one that is."""

PLAIN: Final = 1.5
"""So many times what makes a rank slow from the start, in logarithms, no few ranks differ by chance."""

HABIT: Final = 1.0 / 32.0
"""Weight of a round in what is usual of a rank; more than `LEAST_SPREAD` off it counts no more than that."""

LATELY: Final = 0.25
"""Weight of a round in how a rank was lately: less noisy than one round, and slower."""

RANKS_NAMED: Final = 8


@settings_dataclass(frozen=True, config=ConfigDict(extra="forbid"))
class StragglerSettings:
    """When a rank counts as slower than the others. A round is 8 steps, or 4 seconds if that is more."""

    slower: Annotated[
        float, Field(gt=0, description="A rank that became slower by less is never told, as a fraction.")
    ] = 0.15
    slower_always: Annotated[
        float,
        Field(
            gt=0, description="The same of one that was so from its first steps, or is one of three or two."
        ),
    ] = 0.33
    spread_sigma: Annotated[
        float, Field(gt=0, description="It must stand out from the other ranks by so many sigma of theirs.")
    ] = 5.0
    rounds: Annotated[
        int,
        Field(ge=1, description="For so many rounds in a row; of three ranks or two up to twice as many."),
    ] = 4
    alike: Annotated[
        float,
        Field(gt=0, le=0.5, description="Ranks slow from the start are by design if a larger share is so."),
    ] = 0.125


@dataclass(slots=True)
class Straggler:
    """Compares the ranks' own seconds a step, over rounds of steps, with their median and spread.

    Ranks that train together all take the same `step_seconds`, however slow one of them is, and arrive at its
    end together: they wait for each other when they exchange gradients. So what counts is `own_seconds`, a
    step without that wait, wherever it is reported. `step_seconds` tells only of ranks that need not wait for
    each other. When one arrived tells little: only what it does after the exchange delays it, and clocks of
    hosts differ by more.

    A rank that became slow is told from `slower` on; one that was so from the start from `slower_always` on
    (a score of 0.75 in NVIDIA's NVRx), and only if few are, for stages of a pipeline differ by design.
    A pause, an evaluation or one slow step is cut, and slow for all is slow for nobody.

    >>> detector = Straggler()
    >>> for step in range(160):
    ...     for rank in range(4):
    ...         seconds = 1.5 if rank == 2 and step >= 64 else 1.0
    ...         found = detector.update(Sample(step, float(step), {"own_seconds": seconds}, rank=rank))
    ...         if found:
    ...             print(found.step, found.onset_step, found.evidence["rank"], round(found.value, 1))
    96 64 2 1.5
    """

    kind: ClassVar[str] = "straggler"
    settings: StragglerSettings = field(default_factory=StragglerSettings)
    paces: Paces = field(default_factory=Paces)
    usual: dict[int, float] = field(default_factory=dict)
    lately: dict[int, float] = field(default_factory=dict)
    """How far above the ranks' middle each usually is and lately was, in logarithms."""
    slow: dict[int, list[int]] = field(default_factory=dict)
    """Of each rank that is slow now: rounds in a row, and the step at which it began."""
    told: list[int] = field(default_factory=list)
    own: bool = False
    has_peers: bool = False
    """Whether a rank other than 0 was heard of: a run of one has nobody to wait for."""

    @property
    def active(self) -> bool:
        """Whether a rank that was told is still slower than the others."""
        return bool(self.told)

    def update(self, sample: Sample) -> Finding | None:
        """Take a step of any rank; return a finding when ranks were found slow in a round of all."""
        self.has_peers = self.has_peers or sample.rank != 0
        seconds = sample.values.get(wire.OWN_SECONDS)
        if seconds is None:
            seconds = None if self.own else sample.values.get(wire.STEP_SECONDS)
        elif not self.own:
            self._start_anew()
        if seconds is None or not FASTEST_S < seconds < SLOWEST_S:
            return None
        levels = self.paces.add(sample.rank, sample.step, sample.time, seconds)
        return self._judge(sample, levels) if levels else None

    def rewind(self, step: int) -> None:
        """The run goes on from `step`, at the ranks' known paces."""
        del step
        self.paces.rewind()
        self.slow = {rank: self.slow[rank] for rank in self.told if rank in self.slow}

    def _start_anew(self) -> None:
        """Ranks report their own time: what was learned of their steps is something else."""
        self.own = True
        self.paces = Paces()
        self.usual, self.lately, self.slow, self.told = {}, {}, {}, []

    def _judge(self, sample: Sample, levels: dict[int, float]) -> Finding | None:
        middle = median_low(levels.values())  # of two ranks the faster
        now = {rank: level - middle for rank, level in levels.items()}
        for rank, above in now.items():
            self.usual.setdefault(rank, above)
            self.lately[rank] = above + (1.0 - LATELY) * (self.lately.get(rank, above) - above)
        lately = {rank: self.lately[rank] for rank in now}
        still = OVER * log(1.0 + self.settings.slower)
        slow = self._slow(now) | {rank for rank in self._slow(lately) if now[rank] >= still}
        for rank, above in now.items():
            self._follow(rank, above, rank in slow)
        self._forget_the_gone()
        if not any(self._lasts(rank) for rank in now if rank not in self.told):
            return None
        fresh = [rank for rank in now if rank not in self.told and self._lasts(rank, rounds_short=1)]
        self.told += fresh
        return self._finding(sample, fresh, lately, middle)

    def _slow(self, above: dict[int, float]) -> set[int]:
        """The ranks that are slow; `above` is how far each is above the middle, in logarithms."""
        settings = self.settings
        became, always = log(1.0 + settings.slower), log(1.0 + settings.slower_always)
        if len(above) < RANKS_FOR_SPREAD:
            became = inf
        else:
            moved = [far - self.usual[rank] for rank, far in above.items()]
            became = max(became, settings.spread_sigma * spread_of(moved))
            always = max(always, settings.spread_sigma * spread_of(above.values()))
        if sum(far >= ALIKE * always for far in above.values()) > max(1, int(settings.alike * len(above))):
            always = inf  # so many are by design
        return {
            rank
            for rank, far in above.items()
            if far >= min(always, became + max(0.0, self.usual[rank])) * (OVER if rank in self.told else 1.0)
        }

    def _follow(self, rank: int, above: float, slow: bool) -> None:
        if not slow:
            self.slow.pop(rank, None)
            off = above - self.usual[rank]
            self.usual[rank] += HABIT * max(-LEAST_SPREAD, min(off, LEAST_SPREAD))
        elif rank in self.slow:
            self.slow[rank][0] += 1
        else:
            self.slow[rank] = [1, self.paces.judged * self.paces.round_steps]

    def _lately(self, rank: int) -> float:
        return self.lately.get(rank, 0.0)

    def _lasts(self, rank: int, rounds_short: int = 0) -> bool:
        many = len(self.paces.ranks) >= RANKS_FOR_SPREAD
        plain = self.lately.get(rank, 0.0) >= PLAIN * log(1.0 + self.settings.slower_always)
        rounds = self.settings.rounds if many or plain else 2 * self.settings.rounds
        return rank in self.slow and self.slow[rank][0] + rounds_short >= rounds

    def _forget_the_gone(self) -> None:
        for rank in self.usual.keys() - self.paces.ranks.keys():
            del self.usual[rank], self.lately[rank]
            self.slow.pop(rank, None)
        self.told = [rank for rank in self.told if rank in self.slow]

    def _finding(self, sample: Sample, ranks: list[int], above: dict[int, float], middle: float) -> Finding:
        worst = max(ranks, key=above.__getitem__)
        onset = min(self.slow[worst][1], sample.step)
        level = self.paces.ranks[worst].level
        return Finding(
            kind=self.kind,
            metric=wire.OWN_SECONDS if self.own else wire.STEP_SECONDS,
            severity="warning",
            step=sample.step,
            time=sample.time,
            onset_step=onset,
            value=exp(level),
            expected=exp(middle),
            score=above[worst] / spread_of(above.values()),
            evidence={
                "rank": worst,
                "factor": exp(level - middle),
                "compared": len(above),
                "slow": len(self.told),
                "slow_ranks": sorted(self.told, key=self._lately, reverse=True)[:RANKS_NAMED],
                "since_step": onset,
            },
        )


def spread_of(above: Collection[float]) -> float:
    """The robust standard deviation of values around zero."""
    return max(LEAST_SPREAD, 1.4826 * median([abs(far) for far in above]))
