"""Is a run alive: running, hung, failed or finished, decided from what was heard of it and when.

    running   new steps come
    hung      it is heard of, but no new step has come for too long
    failed    it said so, its process died, or nothing was heard of it for too long
    finished  it said so

Every time here is when the collector received something, by the collector's clock: a job's clock may be
wrong. Deadlines count from the later of that and of when the collector last started, so that a collector that
was itself away accuses nobody.
"""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass, field
from math import inf
from typing import Final, Literal

from pydantic import BaseModel, ConfigDict, Field

Status = Literal["running", "hung", "failed", "finished"]
STATUSES: Final[tuple[Status, ...]] = ("running", "hung", "failed", "finished")
LIVE: Final = frozenset({"running", "hung"})

TRAIN: Final = "train"
PAUSES: Final = frozenset({"eval", "checkpoint"})
"""A run that has announced both needs no other time without a step."""

SETTLED_STEPS: Final = 8
"""So many steps must be timed before a pause counts: the first may compile for minutes."""

REMEMBERED_STEPS: Final = 64
"""Of how many steps the median duration is taken."""

ASKED_TO_END: Final = "SIGTERM"
"""The reason of a process that was asked to end: by a launcher, when another one fails."""

LATE_ROWS_S: Final = 5.0
"""Steps done up to so long after a failure are what was under way then."""


class LivenessSettings(BaseModel):
    """When a run counts as hung or failed. Seconds."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    tick_s: float = Field(
        default=5.0, gt=0, description="How often liveness is judged while some run is live, in seconds."
    )
    heartbeat_timeout_s: float = Field(
        default=60.0, gt=0, description="A run of which nothing was heard for so long has failed, in seconds."
    )
    hung_after_s: float = Field(
        default=300.0,
        gt=0,
        description="A run that is heard of but made no step for so long is hung, in seconds.",
    )
    hung_after_announced_s: float = Field(
        default=60.0,
        gt=0,
        description="The same of a run that announces its evaluations and its checkpoints, in seconds.",
    )
    hung_after_steps: float = Field(
        default=20.0,
        gt=0,
        description="The same in median step times: the longer of the two counts.",
    )
    hung_after_pauses: float = Field(
        default=2.0,
        gt=0,
        description="The same in longest pauses that the run made before: the longest of all counts.",
    )
    startup_timeout_s: float = Field(
        default=1800.0,
        gt=0,
        description="How long the first batch, and the first step, may take to come, in seconds.",
    )
    phase_timeout_s: float = Field(
        default=3600.0,
        gt=0,
        description="How long an evaluation or a checkpoint may go without a step, in seconds.",
    )
    cause_wait_s: float = Field(
        default=3.0,
        ge=0,
        description="A rank that failed may be the second: how long others are waited for, in seconds.",
    )


@dataclass(frozen=True, slots=True)
class Failure:
    """A rank that failed: `time` by its own clock, `received` by ours; `died`: it could not say so itself.

    One rank's end is often the cause of all others': they lose their connection to it, and the launcher asks
    them to end. The first counts, and being asked counts least.
    """

    reason: str
    time: float
    received: float
    died: bool = False

    @property
    def moment(self) -> float:
        """When it happened, as far as it can be known: a clock that is ahead must accuse no other rank."""
        return min(self.time, self.received)

    @property
    def order(self) -> tuple[bool, float]:
        """The cause of several failures has the least."""
        return self.reason.endswith(ASKED_TO_END), self.moment


@dataclass(slots=True)
class Liveness:
    """What is known of a run's life. Its attributes are its state, and serialise.

    `failure` is the one to blame, None unless it failed. `began`: more was received of it than that it
    exists. `announced` are the kinds of pause that it told of beforehand, `longest_pause` is the longest time
    between two steps that it did not, in seconds.
    """

    heard: float
    progressed: float
    awake_since: float = 0.0
    phase: str = TRAIN
    end: Literal["", "finished", "failed"] = ""
    reason: str = ""
    failure: Failure | None = None
    ended_ranks: list[int] = field(default_factory=list)
    last_steps: dict[int, int] = field(default_factory=dict)
    last_time: float | None = None
    step_seconds: list[float] = field(default_factory=list)
    began: bool = False
    announced: list[str] = field(default_factory=list)
    longest_pause: float = 0.0

    def hear(self, received: float) -> None:
        """Something of the run was received."""
        self.heard = max(self.heard, received)
        self.began = True

    def collector_started(self, time: float) -> None:
        """Before `time` nothing may have been heard, whatever was said."""
        self.awake_since = time

    def start(self, received: float) -> None:
        """A process of the run began, or began again: whatever ended before is past."""
        self.end, self.reason, self.failure = "", "", None
        self.ended_ranks.clear()
        self.phase = TRAIN
        self.progressed = max(self.progressed, received)
        self.last_time = None

    def rewind(self, to_step: int) -> None:
        """The run went back to `to_step`: the steps after it will be new again."""
        for rank, step in self.last_steps.items():
            self.last_steps[rank] = min(step, to_step)
        self.last_time = None

    def step(self, rank: int, step: int, time: float, received: float) -> None:
        """A rank was at `step` at `time`, Unix seconds of its own clock."""
        before = self.last_steps.get(rank)
        if before is not None and step <= before:
            return
        newest = max(self.last_steps.values(), default=None)
        self.last_steps[rank] = step
        if newest is not None and step <= newest:
            return
        self._time_step(time, 1 if newest is None else step - newest, received - self.progressed)
        self.progressed = max(self.progressed, received)
        if self.failure is None or rank in self.ended_ranks or time <= self.failure.moment + LATE_ROWS_S:
            return  # a run that finished may have ranks that do a few steps more than the lowest
        self.start(received)

    def _time_step(self, time: float, steps: int, waited: float) -> None:
        """Note how long a step took; `waited` is the same by our clock, as a job's may jump."""
        if self.last_time is not None and time > self.last_time:
            seconds = time - self.last_time
            if len(self.step_seconds) >= SETTLED_STEPS:
                self.longest_pause = max(self.longest_pause, min(seconds, waited))
            self.step_seconds.append(seconds / steps)
            del self.step_seconds[:-REMEMBERED_STEPS]
        self.last_time = time

    def enter(self, phase: str, received: float) -> None:
        """The run is now in this phase: train, eval or checkpoint. Its idle time counts anew."""
        self.phase = phase
        if phase in PAUSES and phase not in self.announced:
            self.announced.append(phase)
        self.progressed = max(self.progressed, received)
        self.last_time = None

    def ended(self, rank: int, status: str, reason: str, time: float = -inf, received: float = -inf) -> None:
        """A rank said that it ended. The run finishes with the lowest rank, and fails with any."""
        if rank in self.ended_ranks:
            return
        self.ended_ranks.append(rank)
        if status != "finished":
            whose = f"rank {rank}: " if len({*self.last_steps, rank}) > 1 and reason else ""
            self._fail(Failure(whose + reason or f"rank {rank} said that it failed", time, received))
        elif not self.end and rank <= min(self.last_steps, default=rank):
            self.end, self.reason = "finished", reason

    def died(
        self, rank: int, pid: object, host: str | None = None, time: float = -inf, received: float = -inf
    ) -> None:
        """The process of a rank is gone, and never said that it ended."""
        if rank not in self.ended_ranks:
            self.ended_ranks.append(rank)
            where = f" on {host}" if host else ""
            self._fail(Failure(f"process {pid} of rank {rank}{where} died", time, received, died=True))

    def _fail(self, failure: Failure) -> None:
        if self.failure is None or failure.order < self.failure.order:
            self.failure = failure
            self.end, self.reason = "failed", failure.reason

    def waits_for_the_cause(self, now: float, wait_s: float, ranks: int) -> bool:
        """Whether it may soon be told that another rank failed before the one that said so."""
        if self.failure is None or self.failure.died or len(self.ended_ranks) >= ranks:
            return False
        return now < self.failure.received + wait_s

    def is_stepping(self, now: float, within_s: float) -> bool:
        """Whether the run trains, and made a step within so long, or within three usual ones."""
        if self.phase != TRAIN or not self.last_steps:
            return False
        usual = statistics.median(self.step_seconds) if self.step_seconds else 0.0
        return now - self.progressed <= max(within_s, 3.0 * usual)

    def ranks_behind(self) -> Sequence[int]:
        """The ranks whose last step is older than the newest of all: in a hang, the first to look at."""
        newest = max(self.last_steps.values(), default=0)
        return sorted(rank for rank, step in self.last_steps.items() if step < newest)


@dataclass(frozen=True, slots=True)
class Verdict:
    """A run's status and, unless it runs, why."""

    status: Status
    reason: str = ""


def judge(liveness: Liveness, settings: LivenessSettings, now: float, ranks: int = 1) -> Verdict:
    """The run's status at `now`, Unix seconds of the collector's clock.

    So many `ranks` are waited for when one says that it failed; 0: the failure was told already.
    """
    if liveness.end and not liveness.waits_for_the_cause(now, settings.cause_wait_s, ranks):
        return Verdict(liveness.end, liveness.reason)
    silent = now - max(liveness.heard, liveness.awake_since)
    if silent > (settings.heartbeat_timeout_s if liveness.began else settings.startup_timeout_s):
        return Verdict("failed", f"nothing was heard of it for {silent:.0f} s")
    idle = now - max(liveness.progressed, liveness.awake_since)
    if idle > patience(liveness, settings):
        return Verdict("hung", _hang(liveness, idle))
    return Verdict("running")


def patience(liveness: Liveness, settings: LivenessSettings) -> float:
    """How long the run may go without a new step, in seconds."""
    if liveness.phase != TRAIN:
        return settings.phase_timeout_s
    if not liveness.last_steps:
        return settings.startup_timeout_s
    if not liveness.step_seconds:
        return settings.hung_after_s
    announces = len(liveness.announced) == len(PAUSES) and len(liveness.step_seconds) > SETTLED_STEPS
    least = (
        min(settings.hung_after_announced_s, settings.hung_after_s) if announces else settings.hung_after_s
    )
    steps = settings.hung_after_steps * statistics.median(liveness.step_seconds)
    pause = settings.hung_after_pauses * liveness.longest_pause
    return max(least, steps, min(pause, settings.phase_timeout_s))


def _hang(liveness: Liveness, idle: float) -> str:
    where = "no first step" if not liveness.last_steps else "no new step"
    during = "" if liveness.phase == TRAIN else f" in phase {liveness.phase}"
    usual = ""
    if liveness.step_seconds:
        usual = f", where one takes {statistics.median(liveness.step_seconds):.3g} s"
    return f"it is heard of, but {where}{during} came for {idle:.0f} s{usual}"
