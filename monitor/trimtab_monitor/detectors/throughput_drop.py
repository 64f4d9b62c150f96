"""The run has become slower, and stays so."""

from __future__ import annotations

from dataclasses import dataclass, field
from math import exp, log, sqrt
from statistics import median
from typing import Annotated, ClassVar, Final

from pydantic import ConfigDict, Field
from pydantic.dataclasses import dataclass as settings_dataclass

from trimtab import wire
from trimtab_monitor.types import SEVERITY_RANK, Finding, Sample

FIRST_SAMPLES: Final = 30
"""The first steps of a process compile, warm up and fill caches: they do not count."""

BLOCK_SAMPLES: Final = 8
KEPT_SAMPLES: Final = 6
"""Of each block the fastest count: a checkpoint or an evaluation now and then is not a slow run."""

FEWEST_BLOCKS: Final = 8
MOST_BLOCKS: Final = 64
NOISE_SIGMA: Final = 4.0
"""A block within so many standard deviations of the usual blocks is not slow."""

BLOCKS_APART: Final = (1, 4)
"""Noise that wanders shows between blocks that are further apart."""

GAUSS_MAD: Final = 1.4826
"""A standard deviation, in medians of absolute Gaussian noise."""

FASTEST_S: Final = 1e-9
SLOWEST_S: Final = 1e6
"""No step takes less, or more: eleven days. Such a value was not measured."""

FEWEST_TOKENS: Final = 1e-9
MOST_TOKENS: Final = 1e18
RECOVERED_BLOCKS: Final = 4
EARLIEST_CLOCK: Final = 1e9
"""Sample times below it are row numbers or seconds since the start: no clock, so nothing to measure with."""


@settings_dataclass(frozen=True, config=ConfigDict(extra="forbid"))
class ThroughputDropSettings:
    """When a slower run is told: per token where the job reports `tokens`, else per step."""

    min_drop: Annotated[
        float,
        Field(gt=0, lt=1, description="A smaller drop of speed is never told, as a fraction of it."),
    ] = 0.25
    lasting_samples: Annotated[
        int, Field(ge=8, description="It must be so slow for so many samples, pauses left out.")
    ] = 32
    lasting_seconds: Annotated[float, Field(ge=0, description="And for so long, in seconds.")] = 60.0
    accept_samples: Annotated[
        int, Field(ge=64, description="A speed held for so many samples is the new normal.")
    ] = 2048


@dataclass(slots=True)
class ThroughputDrop:
    """Compares the seconds a step, or a token, of blocks of samples with those of the whole run so far.

    Seconds come from `step_seconds`; where a job has never sent that, from the times of its samples. What is
    usual is kept as at most 64 blocks spread over the run, so that slowing down little by little shows too.

    >>> import random
    >>> noise = random.Random(1)
    >>> seconds = [2.0 * noise.lognormvariate(0, 0.05) * (1.6 if i > 300 else 1.0) for i in range(400)]
    >>> detector = ThroughputDrop()
    >>> for step, took in enumerate(seconds, start=1):
    ...     found = detector.update(Sample(step, 0.0, {"step_seconds": took}))
    ...     if found:
    ...         print(found.step, found.onset_step, found.severity, f"{found.evidence['drop']:.0%} slower")
    334 303 warning 39% slower
    """

    kind: ClassVar[str] = "throughput_drop"
    settings: ThroughputDropSettings = field(default_factory=ThroughputDropSettings)
    usual: list[float] = field(default_factory=list)
    usual_every: int = 1
    usual_skipped: int = 0
    block: list[float] = field(default_factory=list)
    block_step: int = 0
    unsettled: int = FIRST_SAMPLES
    measured: bool = False
    tokens: float = 0.0
    last_step: int | None = None
    last_time: float = 0.0
    slow: int = 0
    slow_lately: list[float] = field(default_factory=list)
    onset_step: int = 0
    normal: int = 0
    told: int = -1

    @property
    def active(self) -> bool:
        """Whether a drop was told, and the run is still slower."""
        return self.told >= 0

    def update(self, sample: Sample) -> Finding | None:
        """Take the next sample; return a finding when the run has been slower for long enough."""
        seconds = self._seconds(sample)
        if seconds is None:
            return None
        if self.unsettled > 0:
            self.unsettled -= 1
            return None
        if not self.block:
            self.block_step = sample.step
        self.block.append(seconds)
        if len(self.block) < BLOCK_SAMPLES:
            return None
        fastest = sorted(self.block)[:KEPT_SAMPLES]
        self.block.clear()
        return self._judge(sample, log(sum(fastest) / KEPT_SAMPLES))

    def _seconds(self, sample: Sample) -> float | None:
        """The seconds of a step, or of a token of it; None if they are not known."""
        values = sample.values
        seconds = values.get(wire.STEP_SECONDS)
        if seconds is None:
            seconds = None if self.measured else self._by_the_clock(sample)
        elif FASTEST_S <= seconds <= SLOWEST_S:
            self.measured = True
        tokens = values.get(wire.TOKENS)
        if tokens is not None and FEWEST_TOKENS <= tokens <= MOST_TOKENS:
            if self.tokens == 0.0:
                self._forget_all()
            self.tokens = tokens
        if seconds is None or not FASTEST_S <= seconds <= SLOWEST_S:
            return None
        return seconds / self.tokens if self.tokens else seconds

    def _by_the_clock(self, sample: Sample) -> float | None:
        before, then = self.last_step, self.last_time
        self.last_step, self.last_time = sample.step, sample.time
        if before is None or sample.step <= before or then < EARLIEST_CLOCK:
            return None
        return (sample.time - then) / (sample.step - before)

    def _judge(self, sample: Sample, pace: float) -> Finding | None:
        """`pace` is the logarithm of the seconds a step, or a token, in one block."""
        if len(self.usual) < FEWEST_BLOCKS:
            self._learn(pace)
            return None
        usual, noise = self._usual()
        limit = max(-log(1.0 - self.settings.min_drop), NOISE_SIGMA * noise)
        if pace - usual < (0.5 * limit if self.active else limit):
            self._normal(pace)
            return None
        return self._slow(sample, pace, usual, noise)

    def _usual(self) -> tuple[float, float]:
        """The pace of the faster half of the blocks, and how far a block is from those some before it."""
        known = self.usual
        jumps = [
            median([abs(after - before) for before, after in zip(known, known[apart:], strict=False)])
            for apart in BLOCKS_APART
        ]
        return sorted(known)[len(known) // 4], GAUSS_MAD * max(jumps) / sqrt(2.0)

    def _normal(self, pace: float) -> None:
        self.normal += 1
        if self.active and self.normal < RECOVERED_BLOCKS:
            return
        self._start_anew()
        self._learn(pace)

    def _slow(self, sample: Sample, pace: float, usual: float, noise: float) -> Finding | None:
        if self.slow == 0:
            self.onset_step = self.block_step
        self.slow += BLOCK_SAMPLES
        self.normal = 0
        self.slow_lately.append(pace)
        del self.slow_lately[:-FEWEST_BLOCKS]
        told = self._tell(sample, usual, noise)
        if self.slow >= self.settings.accept_samples:
            self.usual, self.usual_every = list(self.slow_lately), 1
            self._start_anew()
        return told

    def _tell(self, sample: Sample, usual: float, noise: float) -> Finding | None:
        pace = median(self.slow_lately)
        seconds, expected = (exp(each) * (self.tokens or 1.0) for each in (pace, usual))
        lasted = (sample.step - self.onset_step + 1) * seconds
        long_enough = self.slow >= self.settings.lasting_samples and lasted >= self.settings.lasting_seconds
        if self.active or not long_enough:
            return None
        self.told = SEVERITY_RANK["warning"]
        evidence = {"drop": 1.0 - expected / seconds, "samples": self.slow, "seconds": lasted}
        if self.tokens:
            evidence |= {"tokens_per_second": self.tokens / seconds}
        return Finding(
            kind=self.kind,
            metric=wire.STEP_SECONDS,
            severity="warning",
            step=sample.step,
            time=sample.time,
            onset_step=min(self.onset_step, sample.step),
            value=seconds,
            expected=expected,
            score=(pace - usual) / max(noise, 0.01),
            evidence=evidence,
        )

    def _learn(self, pace: float) -> None:
        """Keep each `usual_every`-th block; when there are too many, every other one of them."""
        self.usual_skipped += 1
        if self.usual_skipped < self.usual_every:
            return
        self.usual_skipped = 0
        self.usual.append(pace)
        if len(self.usual) >= MOST_BLOCKS:
            del self.usual[::2]
            self.usual_every *= 2

    def _forget_all(self) -> None:
        """What was learned is in seconds a step, what comes is in seconds a token."""
        self.usual.clear()
        self.block.clear()
        self._start_anew()

    def _start_anew(self) -> None:
        self.slow = self.normal = 0
        self.slow_lately.clear()
        self.told = -1

    def rewind(self, step: int) -> None:
        """The run goes on from `step`, at first slowly perhaps: as at its start."""
        del step
        self.block.clear()
        self.unsettled = FIRST_SAMPLES
        self.last_step = None
        self._start_anew()
