"""Whom to ask for carbon intensities by the hour, a group of settings each."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Final, Literal, Self

from pydantic import BaseModel, ConfigDict, Field, SecretStr, StringConstraints, model_validator

Url = Annotated[str, StringConstraints(pattern=r"^https?://[^/?#@\s]+(/[^?#@\s]*)?$")]
Zone = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_-]{1,64}$")]

_URL: Final = "The provider's address, without user, query or token."


class ProviderSettings(BaseModel):
    """What every provider has."""

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    every_s: float = Field(
        default=900.0,
        ge=60,
        le=86_400,
        description="How often the hours that are still open or estimated are asked for, in seconds.",
    )
    timeout_s: float = Field(
        default=10.0,
        gt=0,
        le=60,
        description="How long to wait for a connection or a part of an answer, in seconds; for a whole one "
        "three times as long.",
    )
    days_back: float = Field(
        default=3.0,
        gt=0,
        le=31,
        description="How far back hours are asked for in which runs used energy, in days; at most as far as "
        "the provider goes.",
    )


class ElectricityMapsSettings(ProviderSettings):
    """Electricity Maps: average intensity of the zone's consumption, of the last 24 hours. Needs a token."""

    zone: Zone | None = Field(
        default=None,
        description="The zone (FR, US-CAL-CISO, DE); none: that of `energy.place`, if it is a country.",
    )
    token: SecretStr | None = Field(default=None, description="The API's token (header auth-token).")
    token_file: Path | None = Field(
        default=None, description="A file that holds the token, instead of `token`."
    )
    emission_factors: Literal["lifecycle", "direct"] = Field(
        default="lifecycle",
        description="What is counted: lifecycle, as in the shipped table of countries, or direct.",
    )
    url: Url = Field(default="https://api.electricitymaps.com", description=_URL)

    @model_validator(mode="after")
    def _one_token(self) -> Self:
        _exactly_one("token", self.token, self.token_file)
        return self


class WattTimeSettings(ProviderSettings):
    """WattTime: what a further kWh emits (marginal). Told apart as `marginal_g`. Needs an account."""

    region: Zone = Field(description="The region in the provider's spelling (CAISO_NORTH).")
    user: str = Field(min_length=1, pattern=r"^[^:\s]+$", description="The account's user name.")
    password: SecretStr | None = Field(default=None, description="The account's password.")
    password_file: Path | None = Field(
        default=None, description="A file that holds the password, instead of `password`."
    )
    url: Url = Field(default="https://api.watttime.org", description=_URL)

    @model_validator(mode="after")
    def _one_password(self) -> Self:
        _exactly_one("password", self.password, self.password_file)
        return self


class UkSettings(ProviderSettings):
    """The UK Carbon Intensity API: average intensity of Great Britain by the half-hour. Needs no key."""

    enabled: bool = Field(default=False, description="Whether it is asked.")
    url: Url = Field(default="https://api.carbonintensity.org.uk", description=_URL)


def _exactly_one(name: str, value: SecretStr | None, path: Path | None) -> None:
    if value is not None and path is not None:
        raise ValueError(f"both {name} and {name}_file are given: give one of them")
    if path is None and (value is None or not value.get_secret_value().strip()):
        raise ValueError(f"{name} is missing: give {name} or {name}_file, or take the group out")
