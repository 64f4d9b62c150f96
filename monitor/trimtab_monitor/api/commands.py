"""`/v1/runs/{run}/commands`: what was asked of a job, by the policy or by people."""

from __future__ import annotations

import secrets
from typing import Annotated, Final, Literal

import msgspec
from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field

from trimtab.wire import INT64_MAX, Command
from trimtab_monitor.api.parts import Collector, Parts
from trimtab_monitor.api.problems import invalid
from trimtab_monitor.entries import CommandPosted, draft_of
from trimtab_monitor.folding.run_state import unpack
from trimtab_monitor.json_out import JsonResponse

router: Final = APIRouter(
    prefix="/v1/runs/{run}/commands", tags=["commands"], default_response_class=JsonResponse
)

Step = Annotated[int, Field(ge=0, le=INT64_MAX)]


class CommandBody(BaseModel):
    """A command given by hand. The job obeys only if its owner allows it."""

    model_config = ConfigDict(extra="forbid")

    kind: Literal["rollback", "scale_lr", "stop"] = Field(description="What is asked.")
    to_step: Step | None = Field(default=None, description="Of a rollback: the step to go back to.")
    lr_factor: float = Field(
        default=1.0, gt=0, le=100, allow_inf_nan=False, description="What the learning rate is multiplied by."
    )
    attempt: Step | None = Field(
        default=None, description="The attempt that is meant; none: the present one."
    )
    reason: str = Field(default="", max_length=1000, description="Why, for people.")


@router.get("")
def commands(run: str, parts: Parts) -> JsonResponse:
    """The commands of the run with their states, in the order in which they were given."""
    parts.summary(run)
    return JsonResponse(parts.store.views.commands(run))


@router.post("", status_code=201)
def post_command(run: str, body: CommandBody, parts: Parts) -> JsonResponse:
    """Ask something of the job; it hears of it with the answer to its next batch.

    The answer tells its state: a run that is over, or has gone on to another attempt, lets it expire at once.
    """
    summary = parts.summary(run)
    _check(body, run, parts)
    now = parts.intake.now()
    command = Command(
        id=f"{run}.by-hand.{secrets.token_hex(8)}",
        kind=body.kind,
        attempt=summary.attempt if body.attempt is None else body.attempt,
        to_step=body.to_step,
        lr_factor=body.lr_factor,
        reason=body.reason or "asked by hand",
        time=now,
    )
    parts.wait_for(parts.intake.append(draft_of(CommandPosted(now, run, command))))
    return JsonResponse(msgspec.to_builtins(_as_folded(parts, run, command)), status_code=201)


def _as_folded(parts: Collector, run: str, command: Command) -> Command:
    known = parts.store.views.commands(run)
    return next((each for each in reversed(known) if each.id == command.id), command)


def _check(body: CommandBody, run: str, parts: Collector) -> None:
    """Refuse what no job could obey."""
    if body.kind == "rollback":
        _check_target(body.to_step, parts, run)
    elif body.to_step is not None:
        remedy = "Leave to_step out, or ask for a rollback."
        raise invalid("to_step", body.to_step, f"{body.kind} goes back to no step", remedy)
    if body.kind == "scale_lr" and body.lr_factor == 1.0:
        remedy = "Give lr_factor, other than 1."
        raise invalid("lr_factor", body.lr_factor, "times 1 the learning rate stays as it is", remedy)


def _check_target(to_step: int | None, parts: Collector, run: str) -> None:
    packed = parts.store.state.load(run)
    held = [] if packed is None else [known.step for known in unpack(packed).rollback.checkpoints]
    if to_step in held:
        return
    told = ", ".join(map(str, held[-8:])) or "none; the job tells of them with checkpoint_saved events"
    why = "a rollback needs the step to go back to" if to_step is None else "no checkpoint is known of it"
    raise invalid("to_step", to_step, why, f"Give the step of a checkpoint (known: {told}).")
