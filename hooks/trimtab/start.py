"""`trimtab.watch()`: puts a watch together, in the order in which its parts need each other."""

from __future__ import annotations

import contextlib
import logging
import os
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from trimtab import identity, lifecycle
from trimtab.asked import MAX_NAME_CHARACTERS, Asked, TrainingPhase, Watched
from trimtab.budget import Budget
from trimtab.capture.step_values import StepValues
from trimtab.cluster import process_facts
from trimtab.collector import page_of, transport_to
from trimtab.guard import Guard
from trimtab.identity import Place, RunIdentity
from trimtab.inert import inert_watch
from trimtab.job_settings import JobSettings
from trimtab.journal import Journal
from trimtab.launch import Membership, join
from trimtab.link import Link
from trimtab.notes import note_attempt
from trimtab.origin import origin
from trimtab.outbound.aging import DAY_SECONDS
from trimtab.outbound.mirror_targets import targets_of
from trimtab.outbound.pipeline import Bounds, Ends, Pipeline
from trimtab.plain_values import encodable
from trimtab.rewind.boundary import Boundary, DiskCheckpoints
from trimtab.rewind.commands import CommandDesk, Mode
from trimtab.rewind.health import parameters_are_finite
from trimtab.rewind.rewind import Rewind
from trimtab.rewind.snapshots import NullSnapshots
from trimtab.sensors.sampler import Sampler
from trimtab.signals import Signals
from trimtab.steady_clock import SteadyClock
from trimtab.vocabulary import NOT_MEASURED
from trimtab.watching import Parts, Watch

LOG = logging.getLogger("trimtab")


def watch(
    model: Any = None,
    optimizer: Any = None,
    *,
    project: str | None = None,
    name: str | None = None,
    url: str | None = None,
    rollback: Mode = "off",
    scheduler: Any = None,
    scaler: Any = None,
    total_steps: int | None = None,
    tokens_per_step: float | None = None,
    config: Any = None,
    signals: Signals | None = None,
    mask_non_finite: bool | None = None,
    also: Any = None,
    budget: Budget | None = None,
    phase: TrainingPhase | None = None,
) -> Watch:
    """Watch a training run: call `step` on what this returns once a step.

    `model` and `optimizer` (each one object or a list) are both optional: without them nothing is captured,
    and nothing can be rolled back. `project` groups runs, TRIMTAB_PROJECT or the folder's name unless given;
    `name` is for people, TRIMTAB_NAME unless given. `url` is the collector; without it, and without
    TRIMTAB_URL, one is started on this machine. `rollback`: "off", "advise" (say what would be done) or
    "auto" (go back to a snapshot when the collector asks for it); `scheduler` and `scaler` (the GradScaler)
    go back too. `total_steps`, `tokens_per_step` and `config` describe the run. `signals` says what is
    measured beyond the default, else the environment does. `mask_non_finite` keeps gradients that are not
    finite away from the weights, on the device: with rollback="auto" unless it is False. `also` is where each
    step's values are written too, one or a list: a TensorBoard writer, `mlflow`, a wandb run, or a function
    of (step, values). `budget` is what the run may use, `phase` what kind of training it is: pretraining,
    post-training or test-time.

    Raises:
        ValueError: an argument or a TRIMTAB_* variable is not what it must be. Nothing else is raised, now or
            later: a run that cannot be watched trains all the same, and the log says why.
    """
    watched = Watched(model, optimizer, scheduler, scaler)
    settings = JobSettings.from_environ(os.environ, url)
    project = settings.project or _folder_project() if project is None else project
    name = settings.name if name is None else name
    if signals is None:
        signals = Signals.from_environ(os.environ)
    masks = rollback == "auto" if mask_non_finite is None else mask_non_finite
    described = (project, name, rollback, total_steps, tokens_per_step, config)
    asked = Asked(*described, watched, signals, masks, targets_of(also), budget, phase)
    guard = Guard()
    why = "TRIMTAB_DISABLED is set"
    if not settings.disabled:
        why = "it could not be started"
        with guard.shield("watch"):
            return _start(asked, settings, guard)
    return inert_watch(settings.run or identity.new_run_id(project, time.time()), guard, why)


def _folder_project() -> str:
    """Name the project after the folder that the job runs in, whatever its name is made of."""
    name = encodable(_working_folder().name)[:MAX_NAME_CHARACTERS]
    return name if name.strip() else "default"


def _working_folder() -> Path:
    """Return the folder that the job runs in, the root where that was deleted meanwhile."""
    try:
        return Path.cwd()
    except OSError:
        return Path("/")


def _start(asked: Asked, settings: JobSettings, guard: Guard) -> Watch:
    lifecycle.end_those_watching(asked.watched.identities)
    place = identity.find_place(os.environ)
    member = join(asked.project, place, settings, os.environ, lifecycle.live_runs())
    registration = {**asked.registration(place), "origin": origin(os.environ, _working_folder())}
    who = identity.this_process(member.run, member.attempt, place.rank, registration, settings.url)
    clock = SteadyClock()
    sampler = Sampler(who.run, clock, guard=guard)
    link = Link(place)
    told = (link.poll, link.take_commands, link.show_page)
    ends = Ends(transport_to(settings), sampler, *told, asked.mirrors, clock)
    bounds = Bounds(settings.ring_bytes, settings.spool_bytes, settings.spool_days * DAY_SECONDS)
    path = Pipeline(who, settings.spool_root(os.environ), bounds, ends, guard)
    parts = _Assembly(asked, settings, place, member, guard, clock).parts(path, sampler, link)
    made = link.watch = Watch(who.run, page_of(who.run, settings), parts)
    sampler.start(path.tell)
    path.start()
    made.begin(_run_start(asked, who, place))  # after what takes time: a run begins where its loop does
    lifecycle.adopt(made, asked.watched.identities)
    if who.rank == 0:
        _announce(made)
    return made


def _announce(made: Watch) -> None:
    """Show people the run and its page, where there is anywhere to show it."""
    with contextlib.suppress(AttributeError, OSError, ValueError):
        sys.stderr.write(f"trimtab: watching {made.run}" + (f": {made.url}\n" if made.url else "\n"))


@dataclass(frozen=True, slots=True)
class _Assembly:
    """Makes what stands between the training loop and the data path."""

    asked: Asked
    settings: JobSettings
    place: Place
    member: Membership
    guard: Guard
    clock: SteadyClock

    def parts(self, path: Pipeline, sampler: Sampler, link: Link) -> Parts:
        watched, signals = self.asked.watched, self.asked.signals
        capture = watched.capture(self.guard, signals, self.asked.masks_non_finite)
        extras = watched.instruments(signals, self.guard, capture.bundles.append)
        own_time = watched.own_time(self.place, self.guard)
        values = StepValues(capture, float(self.asked.tokens_per_step or NOT_MEASURED), path.drops)
        note = self._attempt_note()
        told = (path.recorder, values, self.member.attempt, path.drops)
        journal = Journal(*told, self.guard, path.tell, note, self.clock)

        def let_go() -> None:
            for borrowed in (link.stop, capture.close, extras.close, own_time.close, sampler.stop):
                borrowed()
            lifecycle.forget_closed()

        seconds = self.settings.close_seconds
        return Parts(
            path, journal, self._boundary(link), self._checkpoints(), self.guard, own_time, let_go, seconds
        )

    def _boundary(self, link: Link) -> Boundary:
        mode = self.asked.rollback
        snapshots = self.asked.watched.snapshots(mode, self.settings, self.place)
        ledger = f"{self.member.run}.r{self.place.rank}.jsonl"
        rewind = Rewind(snapshots, self.settings.data_folder(os.environ) / "rollbacks" / ledger, self.clock)
        takes_snapshots = not isinstance(snapshots, NullSnapshots)
        negotiate = link.negotiate if link.negotiates else None
        desk = CommandDesk(mode, rewind, negotiate, self.asked.stops_at_budget)
        return Boundary(desk, snapshots, takes_snapshots, self.guard)

    def _checkpoints(self) -> DiskCheckpoints:
        model = self.asked.watched.model
        return DiskCheckpoints(None if model is None else lambda: parameters_are_finite(model))

    def _attempt_note(self) -> Callable[[int], None]:
        if not self.member.noted:
            return lambda _: None
        folder = self.settings.data_folder(os.environ)
        return lambda attempt: note_attempt(folder, self.member.run, self.place.rank, attempt)


def _run_start(asked: Asked, who: RunIdentity, place: Place) -> dict[str, Any]:
    return {
        "rollback": asked.rollback,
        "mask_non_finite": asked.masks_non_finite,
        "host": who.host,
        "boot_id": who.boot_id,
        "pid": who.pid,
        "rank": who.rank,
        "world_size": place.world_size,
        **process_facts(os.environ),
    }
