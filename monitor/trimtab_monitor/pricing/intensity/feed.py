"""One provider's feed: for which hours it is asked, when, and what came of it."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Final

from trimtab_monitor.pricing.intensity.provider import Provider, ProviderFailed
from trimtab_monitor.pricing.intensity.values import HOUR_S, HourlyIntensity, ValueRefused, hour_of
from trimtab_monitor.store.protocols import IntensityTable

log = logging.getLogger(__name__)

DAY_S: Final = 86_400
FIRST_PAUSE_S: Final = 60.0
LONGEST_PAUSE_S: Final = 3_600.0
LONGEST_ASKED_PAUSE_S: Final = 6 * 3_600.0


@dataclass(frozen=True, slots=True)
class FeedState:
    """How a feed stands. Times are Unix seconds; `errors` counts since the collector began.

    `newest` is the value of the latest hour that came, none before the first.
    """

    provider: str
    zone: str
    signal: str
    last_success: float | None = None
    last_error: str | None = None
    last_error_time: float | None = None
    errors: int = 0
    failures_in_a_row: int = 0
    newest: HourlyIntensity | None = None


def pause_after(failed: ProviderFailed, failures_in_a_row: int) -> float:
    """How long to wait after a failure, in seconds: doubling up to an hour, or what the provider asked for.

    What lasts (a token that is refused) is tried again after the longest pause at once.
    """
    doubled = FIRST_PAUSE_S * 2.0 ** min(failures_in_a_row - 1, 16)
    pause_s = LONGEST_PAUSE_S if failed.is_lasting else min(doubled, LONGEST_PAUSE_S)
    return max(pause_s, min(failed.pause_s or 0.0, LONGEST_ASKED_PAUSE_S))


class Feed:
    """Asks one provider for the hours that are wanted and not settled, and keeps what it tells.

    Args:
        provider: whom to ask.
        table: where values are kept, and looked up before asking.
        every_s: how long to wait after a success.
        days_back: how old an hour may be to be asked for.
    """

    def __init__(self, provider: Provider, table: IntensityTable, every_s: float, days_back: float) -> None:
        self.provider = provider
        self._table = table
        self._every_s = every_s
        self._reach_s = min(days_back * DAY_S, provider.reach_hours * HOUR_S)
        self._due = float("-inf")
        self.state = FeedState(provider.name, provider.zone, provider.signal)

    def is_due(self, uptime: float) -> bool:
        """Whether it may ask again, by a clock that does not jump, in seconds."""
        return uptime >= self._due

    def missing(self, wanted: Iterable[int], now: float) -> tuple[int, int] | None:
        """The stretch of hours [from, to) that holds every one that is wanted and may still change."""
        within = [hour for hour in wanted if now - self._reach_s <= hour <= hour_of(now)]
        if not within:
            return None
        known = self._table.between(self.provider.name, self.provider.zone, min(within), max(within) + HOUR_S)
        counted = (self.provider.signal, self.provider.basis)
        settled = {each.hour for each in known if (each.signal, each.basis) == counted and each.is_settled}
        missing = sorted(set(within) - settled)
        return (missing[0], missing[-1] + HOUR_S) if missing else None

    def turn(self, wanted: Iterable[int], now: float, uptime: float) -> None:
        """Ask, if anything is missing. A provider that fails is told in `state`, and asked later.

        Raises:
            StoreUnavailable: what it told cannot be kept now.
        """
        missing = self.missing(wanted, now)
        if missing is None:
            return
        try:
            values = self.provider.fetch(*missing, now)
        except ProviderFailed as failed:
            self._failed(failed, now, uptime)
        except ValueRefused as refused:
            told = f"{self.provider.name} {self.provider.zone}: its answer is not used: {refused}"
            self._failed(ProviderFailed(told), now, uptime)
        else:
            self._due = uptime + FIRST_PAUSE_S  # should the store not take them: do not ask at once again
            self._table.put(values).result()
            self._came(values, now, uptime)

    def ended(self, error: BaseException, now: float) -> None:
        """Nobody asks any more, for a fault of ours."""
        told = f"nobody is asked any more, restart the collector: {type(error).__name__}: {error}"
        self.state = replace(self.state, last_error=told, last_error_time=now, errors=self.state.errors + 1)

    def _came(self, values: Iterable[HourlyIntensity], now: float, uptime: float) -> None:
        if self.state.failures_in_a_row:
            log.info("carbon intensity of %s by %s: it answers again", self.state.zone, self.state.provider)
        newest = max(values, key=lambda each: each.hour, default=self.state.newest)
        self._due = uptime + self._every_s
        self.state = replace(self.state, last_success=now, failures_in_a_row=0, newest=newest)

    def _failed(self, failed: ProviderFailed, now: float, uptime: float) -> None:
        failures = self.state.failures_in_a_row + 1
        if failures == 1:
            log.warning("carbon intensity of %s: %s; asked again later", self.state.zone, failed)
        self._due = uptime + pause_after(failed, failures)
        self.state = replace(
            self.state,
            last_error=str(failed),
            last_error_time=now,
            errors=self.state.errors + 1,
            failures_in_a_row=failures,
        )
