"""`/v1/runs`: register, list, look at one; its series, incidents and ledger."""

from __future__ import annotations

from typing import Annotated, Any, Final

import msgspec
from fastapi import APIRouter, Query, Request
from pydantic import BaseModel, ConfigDict, Field, field_validator

from trimtab.identity import check_run_id, new_run_id
from trimtab.wire import INT64_MAX, INT64_MIN
from trimtab_monitor.api.parts import Parts
from trimtab_monitor.api.problems import invalid
from trimtab_monitor.entries import Registration, TrainingPhase
from trimtab_monitor.folding.run_state import unpack
from trimtab_monitor.json_out import JsonResponse
from trimtab_monitor.series.reader import Attempt

router: Final = APIRouter(prefix="/v1/runs", tags=["runs"], default_response_class=JsonResponse)

MAX_WORLD_SIZE: Final = 1_000_000
MAX_POINTS: Final = 1_000_000
Step = Annotated[int, Query(ge=INT64_MIN, le=INT64_MAX)]


_Amount = Annotated[float, Field(gt=0, allow_inf_nan=False)]


class BudgetBody(BaseModel):
    """The most that a run should use; at 80 and 100 % of each an alert is raised."""

    model_config = ConfigDict(extra="ignore")

    kwh: _Amount | None = Field(default=None, description="Energy of the site, in kWh.")
    kg: _Amount | None = Field(default=None, description="Location-based emissions, in kg of CO2e.")
    cost: _Amount | None = Field(default=None, description="Money.")
    currency: str | None = Field(
        default=None, pattern="^[A-Z]{3}$", description="Its currency; none: that of the collector."
    )
    stop: bool = Field(
        default=False, description="The job may be stopped at a checkpoint once it is used up."
    )


class RegistrationBody(BaseModel):
    """What a run says of itself. Other fields are passed over: hooks may be newer than the collector."""

    model_config = ConfigDict(extra="ignore")

    run: str | None = Field(
        default=None,
        description="Its id: letters, digits, dots, underscores and hyphens; none: one is made.",
    )
    project: str = Field(min_length=1, max_length=200, description="What it belongs to.")
    name: str | None = Field(default=None, max_length=200, description="Its name for people.")
    world_size: int | None = Field(
        default=None, ge=1, le=MAX_WORLD_SIZE, description="How many ranks it has."
    )
    total_steps: int | None = Field(default=None, ge=1, le=INT64_MAX, description="How many steps it wants.")
    tokens_per_step: int | None = Field(
        default=None, ge=1, le=INT64_MAX, description="Tokens of a step, over all ranks."
    )
    parameters: int | None = Field(
        default=None, ge=0, le=INT64_MAX, description="How many parameters the model has."
    )
    phase: TrainingPhase | None = Field(default=None, description="What kind of training it is.")
    budget: BudgetBody | None = Field(default=None, description="What it may use, as its owner sets it.")
    config: dict[str, Any] = Field(default={}, description="Whatever else is to be kept with it.")
    origin: dict[str, Any] = Field(
        default={}, description="Where it comes from: the cluster's job, the commit, the versions."
    )

    @field_validator("run")
    @classmethod
    def _is_an_id(cls, value: str | None) -> str | None:
        return None if value is None else check_run_id(value)

    @field_validator("project", "name", "config", "origin")
    @classmethod
    def _can_be_kept(cls, value: object) -> object:
        """JSON can say what MessagePack cannot."""
        try:
            msgspec.msgpack.encode(value)
        except (OverflowError, UnicodeEncodeError, RecursionError) as error:
            raise ValueError(
                f"this cannot be kept ({error}): give integers of 64 bits and valid text"
            ) from None
        return value


@router.post("")
def register(body: RegistrationBody, request: Request, parts: Parts) -> JsonResponse:
    """Make a run known. The same run may register again: what it says then counts."""
    run = body.run or new_run_id(body.project, parts.intake.now())
    registration = msgspec.convert(body.model_dump(exclude={"run"}), Registration)
    parts.wait_for(parts.intake.register(run, registration))
    return JsonResponse({"run": run, "url": parts.url(request, f"/runs/{run}")})


@router.get("")
def runs(parts: Parts, limit: Annotated[int, Query(ge=1, le=10_000)] = 1000) -> JsonResponse:
    """The runs, newest first."""
    return JsonResponse([summary.as_json() for summary in parts.views().summaries(limit=limit)])


@router.get("/{run}")
def one_run(run: str, parts: Parts) -> JsonResponse:
    """One run: its status, last step, open incidents and the ledger's totals."""
    return JsonResponse(parts.summary(run).as_json())


@router.get("/{run}/series")
def series(
    run: str,
    parts: Parts,
    metric: Annotated[str, Query(min_length=1)],
    from_step: Step | None = None,
    to_step: Step | None = None,
    points: Annotated[int, Query(ge=1)] = 1000,
    attempt: str = "newest",
    rank: Annotated[int | None, Query(ge=0, le=INT64_MAX)] = None,
) -> JsonResponse:
    """One metric over steps, in at most `points` points, no spike and no NaN hidden.

    Where attempts overlap the newest counts; `attempt=all` gives every one, a number that one only.
    Without `rank` it is that of the lowest rank that measured the metric; over all ranks it is told as
    `loss/mean`, `loss/min` and `loss/max`, and so any other metric.
    """
    summary = parts.summary(run)
    told = parts.series.read(
        run,
        metric,
        rank=rank,
        world_size=summary.registration.world_size,
        attempt=_attempt(attempt),
        from_step=from_step,
        to_step=to_step,
        points=min(points, MAX_POINTS),
    )
    return JsonResponse(told)


def _attempt(text: str) -> Attempt:
    if text == "all":
        return "all"
    if text == "newest":
        return "newest"
    if text.isdecimal() and int(text) <= INT64_MAX:
        return int(text)
    raise invalid("attempt", text, "it names no attempt", "Give newest, all, or the number of an attempt.")


@router.get("/{run}/incidents")
def incidents(run: str, parts: Parts) -> JsonResponse:
    """Its incidents in the order in which they were opened."""
    parts.summary(run)
    return JsonResponse([incident.as_json() for incident in parts.store.views.incidents(run)])


@router.get("/{run}/ledger")
def ledger(
    run: str,
    parts: Parts,
    target_loss: Annotated[float | None, Query(allow_inf_nan=False)] = None,
) -> JsonResponse:
    """Its energy by device and method, gaps, carbon, cost and lost work, with the factors used.

    Also its budgets, and the forecast to its last step; with `target_loss` what it takes to get there.
    """
    parts.summary(run)
    packed = parts.store.state.load(run)
    assert packed is not None, "a run with a summary has a state"
    return JsonResponse(parts.ledgers.tell(unpack(packed), target_loss))
