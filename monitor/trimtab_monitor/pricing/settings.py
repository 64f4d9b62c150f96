"""What turns joules into grams, litres and money: settings of the reader, applied when read."""

from __future__ import annotations

from typing import Annotated, Final, Self

from pydantic import BaseModel, ConfigDict, Field, ValidationInfo, field_validator, model_validator

from trimtab_monitor.pricing.currencies import Currency
from trimtab_monitor.pricing.intensity.settings import ElectricityMapsSettings, UkSettings, WattTimeSettings
from trimtab_monitor.pricing.places import PlaceError, lookup
from trimtab_monitor.pricing.tariff import TariffSettings

GREAT_BRITAIN: Final = "GB"

_GramsPerKwh = Annotated[float, Field(ge=0, le=5_000, allow_inf_nan=False)]
_LitresPerKwh = Annotated[float, Field(ge=0, le=1_000, allow_inf_nan=False)]
_Price = Annotated[float, Field(ge=0, le=1e9, allow_inf_nan=False)]


class EmbodiedSettings(BaseModel):
    """What making the devices emitted, spread over their life (SCI, ISO/IEC 21031:2024)."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    kg_per_device: float | None = Field(
        default=None,
        ge=0,
        le=1e6,
        allow_inf_nan=False,
        description="kg of CO2e that making one accelerator emitted, with its part of the server (TE); "
        "none: not counted.",
    )
    lifetime_years: float = Field(
        default=4.0, gt=0, le=50, allow_inf_nan=False, description="For how long a device is used (EL)."
    )
    share: float = Field(
        default=1.0,
        gt=0,
        le=1,
        allow_inf_nan=False,
        description="What of it is the job's beside the hours that the ledger counts (RR / ToR).",
    )


class EnergySettings(BaseModel):
    """Where the run's electricity comes from and what it costs."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    pue: float = Field(
        default=1.0,
        ge=1,
        le=10,
        allow_inf_nan=False,
        description="Power usage effectiveness: energy of the site over energy of its machines, 1 or more. "
        "At 1 nothing is added for cooling and losses; ask the operator.",
    )
    intensity_g_per_kwh: _GramsPerKwh | None = Field(
        default=None,
        description="Carbon intensity of the grid in gCO2e per kWh (location-based); goes before `place`, "
        "and is used for the hours of which a live provider told nothing.",
    )
    place: str | None = Field(
        default=None,
        description="Where the electricity is used: a country (FR, FRA, France), a US state (US-GA, Texas) "
        "or a cloud region (aws:us-east-1, eastus). Two letters are always a country. "
        "`trimtab doctor --places` lists them.",
    )
    market_intensity_g_per_kwh: _GramsPerKwh | None = Field(
        default=None,
        description="Carbon intensity by contract in gCO2e per kWh (market-based: certificates, supplier, "
        "residual mix). There is no default: a market-based figure needs a contract.",
    )
    market_share: float = Field(
        default=1.0,
        ge=0,
        le=1,
        allow_inf_nan=False,
        description="What part of the electricity the contract covers, 0 to 1; the rest counts with "
        "`residual_intensity_g_per_kwh`, or where that is not given as location-based.",
    )
    residual_intensity_g_per_kwh: _GramsPerKwh | None = Field(
        default=None,
        description="Carbon intensity of the residual mix in gCO2e per kWh, for what no contract covers.",
    )
    wue_site_l_per_kwh: _LitresPerKwh | None = Field(
        default=None,
        description="Water that the site evaporates, in litres per kWh of its machines (WUE).",
    )
    wue_source_l_per_kwh: _LitresPerKwh | None = Field(
        default=None,
        description="Water that power stations evaporate, in litres per kWh that the site takes.",
    )
    price_per_kwh: _Price | None = Field(
        default=None,
        description="Price of electricity per kWh at every hour, in `currency`; goes before `tariff`.",
    )
    currency: Currency = Field(
        default="USD",
        description="Currency of the prices, by its three letters (ISO 4217). Nothing is converted.",
    )
    price_per_gpu_hour: _Price | None = Field(
        default=None,
        description="Price of an hour of one accelerator, in `gpu_hour_currency`. That of a cloud usually "
        "holds the electricity: then leave `price_per_kwh` out.",
    )
    gpu_hour_currency: Currency | None = Field(
        default=None,
        description="Currency of `price_per_gpu_hour`; none: `currency`. Another one is never added to it.",
    )
    tariff: TariffSettings | None = Field(default=None, description="Prices by the hour of the day.")
    embodied: EmbodiedSettings = Field(
        default=EmbodiedSettings(), description="What making the devices emitted."
    )
    electricity_maps: ElectricityMapsSettings | None = Field(
        default=None, description="Hourly intensities from Electricity Maps; none: not asked."
    )
    uk: UkSettings = Field(
        default=UkSettings(), description="Half-hourly intensities of Great Britain's operator."
    )
    watttime: WattTimeSettings | None = Field(
        default=None, description="Hourly marginal intensities from WattTime; none: not asked."
    )

    @field_validator("place")
    @classmethod
    def _known(cls, place: str | None, given: ValidationInfo) -> str | None:
        """A place of the table, with a value that can be; where an intensity is given, that counts."""
        if place is not None:
            intensity = lookup(place)
            if given.data.get("intensity_g_per_kwh") is None:
                intensity.usable()
        return place

    @model_validator(mode="after")
    def _usable(self) -> Self:
        if self.electricity_maps is not None and self.electricity_maps_zone is None:
            raise ValueError(
                "electricity_maps.zone is missing: `place` names no country to take it from; give the zone, "
                "as FR or US-CAL-CISO"
            )
        if self.uk.enabled:
            self._check_uk()
        return self

    def _check_uk(self) -> None:
        if self.electricity_maps is not None:
            raise ValueError("electricity_maps and uk both tell average intensities: take one of them out")
        if self.place is not None and lookup(self.place).iso3 != lookup(GREAT_BRITAIN).iso3:
            raise ValueError(
                f"uk.enabled: it tells of Great Britain, and place is {self.place!r}: correct one of them"
            )

    @property
    def pue_is_set(self) -> bool:
        """Whether someone gave the PUE, or nobody knows it."""
        return "pue" in self.model_fields_set

    @property
    def asks_nobody(self) -> bool:
        """Whether someone said that no provider is to be asked; else it is only that none is set."""
        return self.electricity_maps is None and "electricity_maps" in self.model_fields_set

    @property
    def grid(self) -> str | None:
        """The place whose value in the table holds where no other is known."""
        return GREAT_BRITAIN if self.place is None and self.uk.enabled else self.place

    @property
    def electricity_maps_zone(self) -> str | None:
        """The zone to ask Electricity Maps for: the one that is set, else the country that is the place."""
        if self.electricity_maps is None:
            return None
        if self.electricity_maps.zone is not None or self.place is None:
            return self.electricity_maps.zone
        place = lookup(self.place)
        return place.key if place.scope == "country" else None


__all__ = ["EmbodiedSettings", "EnergySettings", "PlaceError"]
