"""The hourly values that the store has, for a reader of the ledger."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import asdict
from typing import Any

from trimtab_monitor.pricing.intensity.feed import FeedState
from trimtab_monitor.pricing.intensity.provider import Provider
from trimtab_monitor.pricing.intensity.sources import LiveSource
from trimtab_monitor.pricing.intensity.values import HOUR_S, HourlyIntensity
from trimtab_monitor.store.protocols import IntensityTable


class KnownIntensities:
    """What the store has of these providers; `states` tells how their feeds stand."""

    def __init__(
        self,
        providers: Sequence[Provider],
        table: IntensityTable,
        states: Callable[[], Sequence[FeedState]] = tuple,
    ) -> None:
        self._providers = providers
        self._table = table
        self._states = states

    def sources(self, hours: Sequence[int]) -> Sequence[LiveSource]:
        """See Intensities."""
        states = {(state.provider, state.signal): state for state in self._states()}
        return [
            LiveSource(
                provider.name,
                provider.zone,
                provider.signal,
                provider.basis,
                provider.attribution,
                self._values(provider, hours),
                _told(states.get((provider.name, provider.signal))),
            )
            for provider in self._providers
        ]

    def _values(self, provider: Provider, hours: Sequence[int]) -> dict[int, tuple[float, bool]]:
        if not hours:
            return {}
        wanted = set(hours)
        known = self._table.between(provider.name, provider.zone, min(hours), max(hours) + HOUR_S)
        return {each.hour: _value(each) for each in known if _is_of(each, provider) and each.hour in wanted}


def _is_of(value: HourlyIntensity, provider: Provider) -> bool:
    """Whether it may come into one sum with the provider's: what is counted otherwise may not."""
    return value.signal == provider.signal and value.basis == provider.basis


def _value(value: HourlyIntensity) -> tuple[float, bool]:
    return value.g_per_kwh, not value.is_settled


def _told(state: FeedState | None) -> dict[str, Any] | None:
    if state is None:
        return None
    told = asdict(state)
    return {name: told[name] for name in ("last_success", "last_error", "last_error_time", "errors")}
