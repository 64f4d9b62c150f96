"""What a provider of carbon intensities is to us, and how it fails."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Protocol

from trimtab_monitor.pricing.intensity.values import HourlyIntensity, Signal


class ProviderFailed(Exception):  # noqa: N818 - told as such
    """No values came; the message says why and what to do, and holds no secret.

    Args:
        told: the message.
        pause_s: for how long the provider asked not to be asked again, if it did.
        is_lasting: asking again soon cannot help (a token is refused).
        status: the HTTP status, if there was one.
    """

    def __init__(
        self, told: str, *, pause_s: float | None = None, is_lasting: bool = False, status: int | None = None
    ) -> None:
        super().__init__(told)
        self.pause_s = pause_s
        self.is_lasting = is_lasting
        self.status = status


class Provider(Protocol):
    """One zone of one provider. Asked by one thread at a time."""

    @property
    def name(self) -> str:
        """The provider, as in settings and the store."""

    @property
    def zone(self) -> str:
        """The zone, in the provider's spelling."""

    @property
    def signal(self) -> Signal:
        """What its values answer."""

    @property
    def basis(self) -> str:
        """What is counted in its values."""

    @property
    def attribution(self) -> str:
        """Whom to name beside a figure, and where the terms are."""

    @property
    def reach_hours(self) -> int:
        """How far back it can be asked."""

    def fetch(self, from_hour: int, to_hour: int, now: float) -> Sequence[HourlyIntensity]:
        """What it tells of the hours in [from_hour, to_hour), Unix seconds, as far as it knows anything.

        Raises:
            ProviderFailed: nothing came.
            ValueRefused: something came that cannot be; then nothing of it is used.
        """


def told_by(
    provider: Provider, means: Mapping[int, tuple[float, bool]], asked: range, now: float
) -> list[HourlyIntensity]:
    """Its values of the hours that it was asked for, from means and whether they are estimates, by hour."""
    return [
        HourlyIntensity(
            provider.name,
            provider.zone,
            provider.signal,
            hour,
            g_per_kwh,
            provider.basis,
            is_estimated,
            fetched=now,
        )
        for hour, (g_per_kwh, is_estimated) in means.items()
        if hour in asked
    ]
