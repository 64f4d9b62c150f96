"""`/v1/runs/{run}/commands`: what was asked of a job, by the policy or by people."""

from __future__ import annotations

import secrets
from typing import Annotated, Final, Literal, Self

import msgspec
from fastapi import APIRouter
from pydantic import BaseModel, ConfigDict, Field, model_validator

from trimtab.wire import INT64_MAX, Command
from trimtab_monitor.api.parts import Parts
from trimtab_monitor.entries import CommandPosted, draft_of
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

    @model_validator(mode="after")
    def _is_whole(self) -> Self:
        if self.kind == "rollback" and self.to_step is None:
            raise ValueError("a rollback needs to_step, the step to go back to")
        if self.kind == "scale_lr" and self.lr_factor == 1.0:
            raise ValueError("scale_lr needs lr_factor, other than 1")
        return self


@router.get("")
def commands(run: str, parts: Parts) -> JsonResponse:
    """The commands of the run with their states, in the order in which they were given."""
    parts.summary(run)
    return JsonResponse(parts.store.views.commands(run))


@router.post("", status_code=201)
def post_command(run: str, body: CommandBody, parts: Parts) -> JsonResponse:
    """Ask something of the job; it hears of it with the answer to its next batch."""
    summary = parts.summary(run)
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
    return JsonResponse(msgspec.to_builtins(command), status_code=201)
