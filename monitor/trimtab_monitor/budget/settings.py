"""Budgets that the owner of the collector sets: for each run, for projects, for phases of projects."""

from __future__ import annotations

from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, model_validator

from trimtab_monitor.budget.limits import QUANTITIES, Limit, RunBudget

_Amount = Annotated[float, Field(gt=0, allow_inf_nan=False)]


class ProjectBudget(BaseModel):
    """What all runs of a project may use together."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    project: str = Field(min_length=1, max_length=200, description="The project.")
    phase: Literal["pretraining", "post-training", "test-time"] | None = Field(
        default=None, description="Only its runs of this phase; none: all of them."
    )
    kwh: _Amount | None = Field(default=None, description="Energy of the site in kWh; none: no limit.")
    kg: _Amount | None = Field(
        default=None, description="Location-based emissions in kg of CO2e; none: no limit."
    )
    cost: _Amount | None = Field(default=None, description="Money, in `energy.currency`; none: no limit.")

    def limits(self) -> list[Limit]:
        """Its limits, one a quantity."""
        return [
            Limit(quantity, amount, project=self.project, phase=self.phase)
            for quantity in QUANTITIES
            if (amount := getattr(self, quantity)) is not None
        ]


class BudgetSettings(BaseModel):
    """What runs may use. Who is over it is told; only a run whose owner asked for it is stopped."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kwh: _Amount | None = Field(
        default=None, description="Energy of the site in kWh that each run may use; none: no limit."
    )
    kg: _Amount | None = Field(
        default=None,
        description="Location-based emissions in kg of CO2e that each run may cause; none: no limit.",
    )
    cost: _Amount | None = Field(
        default=None, description="Money that each run may cost, in `energy.currency`; none: no limit."
    )
    warn_at: float = Field(
        default=0.8, gt=0, lt=1, description="The part of a budget at which a warning is told."
    )
    every_s: float = Field(
        default=15.0, gt=0, description="How often budgets are looked at while some run is live, in seconds."
    )
    projects: tuple[ProjectBudget, ...] = Field(
        default=(), description="Budgets of projects, and of phases of projects."
    )

    @model_validator(mode="after")
    def _each_once(self) -> Self:
        names = [limit.name for budget in self.projects for limit in budget.limits()]
        if twice := next((name for name in names if names.count(name) > 1), None):
            raise ValueError(f"budget.projects: {twice}: it is set twice; keep one of them")
        return self

    @property
    def of_each_run(self) -> RunBudget:
        """What holds for a run whose owner set nothing."""
        return RunBudget(kwh=self.kwh, kg=self.kg, cost=self.cost)

    @property
    def limits_runs(self) -> bool:
        """Whether anything holds for each run."""
        return any(getattr(self, quantity) is not None for quantity in QUANTITIES)

    def of_project(self, project: str, phase: str | None) -> list[Limit]:
        """The limits that a run of this project and phase counts to."""
        return [limit for limit in self.limits_of(project) if limit.phase in (None, phase)]

    def limits_of(self, project: str) -> list[Limit]:
        """All limits of a project, those of its phases too."""
        return [limit for budget in self.projects if budget.project == project for limit in budget.limits()]
