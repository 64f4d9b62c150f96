"""The demo's three runs from one seed, and what came of them."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal

import trimtab
from trimtab_monitor.demo.collector import CollectorView
from trimtab_monitor.demo.faults import Fault, planned
from trimtab_monitor.demo.text import Corpus
from trimtab_monitor.demo.training import Course, Job, Plan, Unwatched, make_job, train

Name = Literal["clean", "unwatched", "watched"]
Rollback = Literal["off", "auto"]


@dataclass(slots=True)
class RunOutcome:
    """One run of the three: its course, what the collector said of it, and its bill."""

    name: Name
    course: Course
    seconds: float
    incidents: list[dict[str, Any]] = field(default_factory=list)
    rollbacks: list[dict[str, Any]] = field(default_factory=list)
    ledger: dict[str, Any] = field(default_factory=dict)
    run: str | None = None


@dataclass(frozen=True, slots=True)
class FaultOutcome:
    """What became of one fault in the watched run; None where it was not noticed or not rolled back."""

    fault: Fault
    start_step: int
    detected_step: int | None
    rolled_back_to: int | None
    incident: str | None

    @property
    def end_step(self) -> int:
        """Step number of its last batch, had the run not gone back."""
        return self.start_step + self.fault.batches - 1


@dataclass(frozen=True, slots=True)
class Story:
    """All three runs and both faults."""

    plan: Plan
    runs: tuple[RunOutcome, RunOutcome, RunOutcome]
    faults: tuple[FaultOutcome, ...]

    @property
    def watched(self) -> RunOutcome:
        """The run with faults that was watched."""
        return self.runs[2]


Tell = Callable[[Name, Course, CollectorView | None, str | None], None]


def play(plan: Plan, corpus: Corpus, tell: Tell) -> Story:
    """Train the three runs one after the other; `tell` is called after every batch."""
    faults = planned(plan.steps)
    clean = _watched_run("clean", plan, corpus, (), "off", tell)
    unwatched = _unwatched_run(plan, corpus, faults, tell)
    watched = _watched_run("watched", plan, corpus, faults, "auto", tell)
    return Story(plan, (clean, unwatched, watched), tuple(_outcome(fault, watched) for fault in faults))


def _unwatched_run(plan: Plan, corpus: Corpus, faults: tuple[Fault, ...], tell: Tell) -> RunOutcome:
    started = time.monotonic()
    course = train(
        plan,
        make_job(plan),
        corpus,
        Unwatched(),
        faults,
        lambda so_far: tell("unwatched", so_far, None, None),
    )
    return RunOutcome("unwatched", course, time.monotonic() - started)


def _watched_run(
    name: Name, plan: Plan, corpus: Corpus, faults: tuple[Fault, ...], rollback: Rollback, tell: Tell
) -> RunOutcome:
    started = time.monotonic()
    job = make_job(plan)
    with _watch(name, plan, job, rollback) as watch:
        view = CollectorView(watch.url)
        course = train(plan, job, corpus, watch, faults, lambda so_far: tell(name, so_far, view, watch.run))
    outcome = RunOutcome(name, course, time.monotonic() - started, run=watch.run)
    view.wait_until_finished(watch.run)
    outcome.incidents = view.incidents(watch.run)
    outcome.rollbacks = view.rollbacks(watch.run)
    outcome.ledger = view.get(f"/v1/runs/{watch.run}/ledger")
    return outcome


def _watch(name: Name, plan: Plan, job: Job, rollback: Rollback) -> trimtab.Watch:
    return trimtab.watch(
        job.model,
        job.optimizer,
        project="demo",
        name=name,
        rollback=rollback,
        scheduler=job.scheduler,
        total_steps=plan.steps,
        tokens_per_step=plan.tokens_per_step,
        config={"seed": plan.seed, "rows": plan.rows, "learning_rate": plan.learning_rate},
    )


def _outcome(fault: Fault, watched: RunOutcome) -> FaultOutcome:
    """Match a fault with the first incident that began in it, and that with its last rollback."""
    attempt, start = watched.course.struck[fault]
    within = range(start, start + fault.batches + 1)

    def began_here(incident: dict[str, Any]) -> bool:
        first = incident["evidence"]["findings"][0]
        return bool(first["attempt"] == attempt and incident["detected_step"] in within)

    incident = next(filter(began_here, watched.incidents), None)
    if incident is None:
        return FaultOutcome(fault, start, None, None, None)
    targets = [each["to_step"] for each in watched.rollbacks if each["incident"] == incident["id"]]
    return FaultOutcome(
        fault, start, incident["detected_step"], targets[-1] if targets else None, incident["id"]
    )
