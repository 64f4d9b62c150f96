"""The providers that the settings name, ready to be asked."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from pydantic import SecretStr

from trimtab_alerts.settings import SecretUnreadable, read_secret
from trimtab_monitor.pricing.intensity.electricity_maps import ElectricityMaps
from trimtab_monitor.pricing.intensity.http import Getter
from trimtab_monitor.pricing.intensity.provider import Provider, ProviderFailed
from trimtab_monitor.pricing.intensity.settings import (
    ElectricityMapsSettings,
    ProviderSettings,
    UkSettings,
    WattTimeSettings,
)
from trimtab_monitor.pricing.intensity.uk import UkCarbonIntensity
from trimtab_monitor.pricing.intensity.watttime import WattTime
from trimtab_monitor.pricing.settings import EnergySettings

_DEADLINE_OF_TIMEOUT = 3.0


@dataclass(frozen=True, slots=True)
class Asked:
    """A provider, how it is asked, and what ends a request that is under way."""

    provider: Provider
    settings: ProviderSettings
    stop: Callable[[], None]


def providers(energy: EnergySettings) -> list[Asked]:
    """Every provider that is set: at most one of average intensity, and one of marginal."""
    asked = []
    if energy.electricity_maps is not None:
        asked.append(_electricity_maps(energy.electricity_maps, energy))
    if energy.uk.enabled:
        asked.append(_uk(energy.uk))
    if energy.watttime is not None:
        asked.append(_watttime(energy.watttime))
    return asked


def _electricity_maps(settings: ElectricityMapsSettings, energy: EnergySettings) -> Asked:
    getter = _getter(settings.url, settings, "energy.electricity_maps.token")
    zone = energy.electricity_maps_zone
    assert zone is not None, "settings see to it"
    token = _secret("energy.electricity_maps.token_file", settings.token, settings.token_file)
    provider = ElectricityMaps(getter, zone, settings.emission_factors, token)
    return Asked(provider, settings, getter.stop)


def _uk(settings: UkSettings) -> Asked:
    getter = _getter(settings.url, settings, "energy.uk.url")
    return Asked(UkCarbonIntensity(getter), settings, getter.stop)


def _watttime(settings: WattTimeSettings) -> Asked:
    getter = _getter(settings.url, settings, "energy.watttime.user and password")
    password = _secret("energy.watttime.password_file", settings.password, settings.password_file)
    provider = WattTime(getter, settings.region, lambda: (settings.user, password()))
    return Asked(provider, settings, getter.stop)


def _getter(url: str, settings: ProviderSettings, secret_settings: str) -> Getter:
    deadline_s = settings.timeout_s * _DEADLINE_OF_TIMEOUT
    return Getter(url, secret_settings, timeout_s=settings.timeout_s, deadline_s=deadline_s)


def _secret(name: str, value: SecretStr | None, path: Path | None) -> Callable[[], str]:
    """Reads it at each use, so that a file can be changed without a restart."""

    def read() -> str:
        try:
            return read_secret(value, path)
        except SecretUnreadable as error:
            raise ProviderFailed(f"{name}: {error}", is_lasting=True) from None

    return read
