"""The rollback policy: whether to go back, to where, and what to do when that does not help.

`decide` is pure. The ladder of remedies for one incident: go back to the newest checkpoint from before the
onset (again and again: a job goes on with the next batches, so each time it skips some of the bad data); then
an older checkpoint with a lower learning rate; then stop. A budget bounds each rung, and the run.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from math import isfinite

from pydantic import BaseModel, ConfigDict, Field

from trimtab import wire
from trimtab_monitor.incident_text import describe
from trimtab_monitor.rollback_state import (
    CheckpointRecord,
    Remedy,
    RollbackState,
    as_evidence,
    is_alarming,
    last_onset,
)
from trimtab_monitor.types import Incident, Sample
from trimtab_monitor.wording import step_text

__all__ = ["RollbackSettings", "RollbackState", "advance", "decide"]


class RollbackSettings(BaseModel):
    """When a run goes back, how far, and how often."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    margin_steps: int = Field(
        default=5,
        ge=0,
        description="Good steps between a checkpoint and the onset that prove it healthy, at least.",
    )
    confirm_samples: int = Field(
        default=2,
        ge=1,
        description="Bad samples in a row, from detection, before a finite critical incident is acted on.",
    )
    cool_down_steps: int = Field(
        default=1, ge=0, description="Steps after a rollback before the next, unless a value is not finite."
    )
    rollbacks_per_incident: int = Field(
        default=6, ge=0, description="Rollbacks to the same checkpoint in one incident."
    )
    lr_rollbacks_per_incident: int = Field(
        default=2, ge=0, description="Rollbacks after those, each to an older checkpoint with a lower rate."
    )
    lr_factor: float = Field(
        default=0.5, gt=0, le=1, description="By what the learning rate is multiplied in each of those."
    )
    rollbacks_per_run: int = Field(
        default=100, ge=0, description="Rollbacks in a whole run, after which it is stopped instead."
    )
    blame_steps: int = Field(
        default=2,
        ge=0,
        description="A value not finite so many steps after a second load blames the checkpoint, in steps.",
    )


@dataclass(frozen=True, slots=True)
class _Rung:
    """One remedy: its kind, where it goes, by what it multiplies the rate, and how to tell of it."""

    kind: str
    target: CheckpointRecord | None
    lr_factor: float
    reason: str


def decide(
    settings: RollbackSettings, state: RollbackState, incidents: Sequence[Incident], sample: Sample
) -> wire.Command | None:
    """Return the command that this sample calls for, given the open incidents; None if there is none.

    The command is pending where the job obeys (mode "auto") and advised where people decide (mode "advise").
    """
    incident = _calling(settings, state, incidents, sample)
    if incident is None:
        return None
    rung = _rung(settings, state, incident, sample)
    if rung.kind == "rollback" and rung.target is None:
        return None
    return wire.Command(
        id=f"{state.run}.c{state.commands + 1}",
        kind="stop" if rung.kind == "stop" else "rollback",
        attempt=sample.attempt,
        to_step=None if rung.target is None else rung.target.step,
        lr_factor=rung.lr_factor,
        reason=f"{incident.summary}: {rung.reason}",
        incident=incident.id,
        state="pending" if state.mode == "auto" else "advised",
        time=sample.time,
    )


def advance(
    settings: RollbackSettings,
    state: RollbackState,
    incidents: Sequence[Incident],
    changed: Sequence[Incident],
    sample: Sample,
    lead: int = 0,
) -> wire.Command | None:
    """Take a sample after the incidents did: decide, remember the decision, tell the incident of it.

    `incidents` are the open ones, `changed` those that this sample changed, resolved ones included; `lead` is
    the rank of whose samples statistics are made.
    """
    if sample.attempt < state.attempt:
        return None
    if sample.attempt > state.attempt:
        state.on_start(state.mode, sample.attempt)
    state.lead = lead
    if sample.rank == lead:
        state.follow(incidents, changed, sample.step, settings.margin_steps)
    command = decide(settings, state, incidents, sample)
    if command is not None:
        state.on_command(command, sample.step)
        told = next(incident for incident in incidents if incident.id == command.incident)
        told.evidence["remedy"] = as_evidence(command)
        told.summary = describe(told)
        return command
    _note_why_not(settings, state, incidents, sample)
    return None


def _calling(
    settings: RollbackSettings, state: RollbackState, incidents: Sequence[Incident], sample: Sample
) -> Incident | None:
    """The open incident that calls for a remedy now."""
    if state.mode == "off" or not incidents or sample.attempt != state.attempt or state.pending is not None:
        return None
    for incident in incidents:
        if is_alarming(incident) and incident.severity == "critical" and not _given_up(state, incident):
            return incident if _ripe(settings, state, incident, sample) else None
    return None


def _given_up(state: RollbackState, incident: Incident) -> bool:
    """People were advised, or the run was told to stop: there is no more to say."""
    return any(r.outcome == "advised" or r.kind == "stop" for r in state.tried(incident.id))


def _ripe(settings: RollbackSettings, state: RollbackState, incident: Incident, sample: Sample) -> bool:
    if incident.kind == "non_finite" and _is_non_finite(sample):
        return True
    if sample.rank != state.lead or incident.bad_samples < settings.confirm_samples:
        return False
    since = None if state.restored_step is None else sample.step - state.restored_step
    return since is None or since > settings.cool_down_steps


def _is_non_finite(sample: Sample) -> bool:
    values = (sample.values.get(name) for name in (wire.LOSS, wire.GRAD_NORM))
    return any(value is not None and not isfinite(value) for value in values)


def _rung(settings: RollbackSettings, state: RollbackState, incident: Incident, sample: Sample) -> _Rung:
    tried = state.tried(incident.id)
    same, lowered = settings.rollbacks_per_incident, settings.lr_rollbacks_per_incident
    if state.rollbacks >= settings.rollbacks_per_run:
        return _Rung("stop", None, 1.0, f"all {settings.rollbacks_per_run} rollbacks of the run are used up")
    if len(tried) >= same + lowered:
        return _Rung("stop", None, 1.0, f"{len(tried)} remedies did not help")
    eligible = _eligible(settings, state, incident)
    bound = _blamed_step(settings, state, tried, sample)
    if bound is not None:
        eligible = [known for known in eligible if known.step < bound] or eligible
    if len(tried) < same:
        newest = eligible[-1] if eligible else None
        return _Rung("rollback", newest, 1.0, _told(newest, len(tried) + 1, same + lowered))
    older = _older(eligible, tried)
    lower = f", learning rate times {settings.lr_factor:g}"
    return _Rung("rollback", older, settings.lr_factor, _told(older, len(tried) + 1, same + lowered) + lower)


def _told(target: CheckpointRecord | None, ordinal: int, budget: int) -> str:
    return "" if target is None else f"go back to step {step_text(target.step)}, remedy {ordinal} of {budget}"


def _eligible(settings: RollbackSettings, state: RollbackState, incident: Incident) -> list[CheckpointRecord]:
    """Checkpoints that have proved healthy, oldest first."""
    newest = last_onset(incident) - settings.margin_steps
    return [known for known in state.checkpoints if known.trusted and known.step <= newest]


def _blamed_step(
    settings: RollbackSettings, state: RollbackState, tried: Sequence[Remedy], sample: Sample
) -> int | None:
    """The step of a checkpoint that turned non-finite at once after two loads: go to an older one."""
    loads = [remedy.to_step for remedy in tried if remedy.outcome == "applied"]
    if state.restored_step is None or loads[-2:] != [state.restored_step] * 2 or not _is_non_finite(sample):
        return None
    return state.restored_step if sample.step - state.restored_step <= settings.blame_steps else None


def _older(eligible: Sequence[CheckpointRecord], tried: Sequence[Remedy]) -> CheckpointRecord | None:
    """The newest checkpoint older than all that were tried; the oldest where there is none."""
    oldest = min((r.to_step for r in tried if r.to_step is not None), default=None)
    older = [known for known in eligible if oldest is not None and known.step < oldest]
    if older:
        return older[-1]
    return eligible[0] if eligible else None


def _note_why_not(
    settings: RollbackSettings, state: RollbackState, incidents: Sequence[Incident], sample: Sample
) -> None:
    """Say once for each incident that it calls for a rollback, and why there is none."""
    incident = _calling(settings, state, incidents, sample)
    if incident is None or incident.id in state.noted:
        return
    state.noted.append(incident.id)
    del state.noted[:-64]
    newest = last_onset(incident) - settings.margin_steps
    held = ", ".join(str(known.step) for known in state.checkpoints[-8:]) or "none"
    incident.evidence["no_rollback"] = (
        f"no checkpoint from step {step_text(newest)} or earlier is known to be healthy (held: {held}); "
        "save checkpoints more often, or keep more of them"
    )
    incident.summary = describe(incident)
