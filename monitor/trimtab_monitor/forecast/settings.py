"""What a forecast of the loss is held against."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field


class ForecastSettings(BaseModel):
    """When a run is told to learn little for what it still uses, and the loss that it is to get to."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    target_loss: float | None = Field(
        default=None,
        allow_inf_nan=False,
        description="The loss that runs are to get to: the ledger tells what energy that takes.",
    )
    next_share: float = Field(
        default=0.1,
        gt=0,
        le=1,
        description="The part of the energy so far that is looked ahead when returns are judged.",
    )
    least_gain: float = Field(
        default=0.001,
        gt=0,
        lt=1,
        description="Returns diminish where that energy lowers the loss by less than this part of it.",
    )
