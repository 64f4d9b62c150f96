"""What turns joules into grams and money: settings of the reader, applied when read and never stored."""

from __future__ import annotations

from typing import Annotated, Self

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

from trimtab_monitor.ledger.carbon import PlaceError, lookup

_GramsPerKwh = Annotated[float, Field(ge=0, le=5_000, allow_inf_nan=False)]


class EnergySettings(BaseModel):
    """Where the run's electricity comes from and what it costs."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    pue: float = Field(
        default=1.0,
        ge=1,
        le=10,
        allow_inf_nan=False,
        description="Power usage effectiveness: energy of the site over energy of its machines, 1 or more. "
        "At 1 nothing is added for cooling and losses; ask the operator.",
    )
    place: str | None = Field(
        default=None,
        description="Where the electricity is used: a country (FR, FRA, France), a US state (US-GA, Texas) "
        "or a cloud region (aws:us-east-1, eastus). Two letters are always a country. "
        "`trimtab doctor --places` lists them.",
    )
    intensity_g_per_kwh: _GramsPerKwh | None = Field(
        default=None,
        description="Carbon intensity of the grid in gCO2e per kWh (location-based); goes before `place`.",
    )
    market_intensity_g_per_kwh: _GramsPerKwh | None = Field(
        default=None,
        description="Carbon intensity by contract in gCO2e per kWh (market-based: certificates, supplier, "
        "residual mix). There is no default: a market-based figure needs a contract.",
    )
    price_per_kwh: float | None = Field(
        default=None,
        ge=0,
        allow_inf_nan=False,
        description="Price of electricity per kWh, in `currency`.",
    )
    currency: str = Field(
        default="USD",
        pattern="^[A-Z]{3}$",
        description="Currency of `price_per_kwh`, by its three letters (ISO 4217). It labels the figure.",
    )

    @field_validator("place")
    @classmethod
    def _known(cls, place: str | None) -> str | None:
        if place is not None:
            lookup(place)
        return place

    @model_validator(mode="after")
    def _usable(self) -> Self:
        if self.place is not None and self.intensity_g_per_kwh is None:
            lookup(self.place).usable()
        return self

    @property
    def pue_is_set(self) -> bool:
        """Whether someone gave the PUE, or nobody knows it."""
        return "pue" in self.model_fields_set


__all__ = ["EnergySettings", "PlaceError"]
