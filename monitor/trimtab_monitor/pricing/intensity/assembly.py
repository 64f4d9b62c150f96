"""Puts the feeds of the settings together with what they fill and what is read from it."""

from __future__ import annotations

from collections.abc import Callable, Iterable

from trimtab_monitor.folding.run_state import unpack
from trimtab_monitor.pricing.intensity.feed import DAY_S
from trimtab_monitor.pricing.intensity.feeds import Feeds
from trimtab_monitor.pricing.intensity.known import KnownIntensities
from trimtab_monitor.pricing.intensity.providers import providers
from trimtab_monitor.pricing.intensity.wanted import WantedHours
from trimtab_monitor.pricing.settings import EnergySettings
from trimtab_monitor.store.protocols import Store


def build_feeds(
    energy: EnergySettings, store: Store, clock: Callable[[], float]
) -> tuple[Feeds, KnownIntensities]:
    """The feeds that the settings name, not yet started, and what a reader sees of them."""
    asked = providers(energy)
    back_s = max((each.settings.days_back for each in asked), default=0.0) * DAY_S
    feeds = Feeds(asked, store.intensities, WantedHours(store, _hours_of, back_s), clock)
    known = KnownIntensities([each.provider for each in asked], store.intensities, feeds.states)
    return feeds, known


def kept_intensities(energy: EnergySettings, store: Store) -> KnownIntensities:
    """What a collector left in its store of the providers that the settings name; nobody is asked."""
    return KnownIntensities([each.provider for each in providers(energy)], store.intensities)


def _hours_of(packed: bytes) -> Iterable[float]:
    return (hour for hour, _ in unpack(packed).ledger.by_hour())
