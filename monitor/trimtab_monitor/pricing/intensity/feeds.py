"""The thread that asks the providers, one request at a time: whatever they do, nobody waits for it."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Iterable, Sequence
from typing import Final

from trimtab_monitor.pricing.intensity.feed import Feed, FeedState
from trimtab_monitor.pricing.intensity.providers import Asked
from trimtab_monitor.store.protocols import IntensityTable, StoreUnavailable
from trimtab_monitor.workers import Worker

log = logging.getLogger(__name__)

LOOK_S: Final = 15.0
PATIENCE_S: Final = 2.0
"""How long a stop waits for a request to end; the thread is a daemon's, a name server may hold it longer."""

Wanted = Callable[[float], Iterable[int]]
"""The hours in which runs used energy, as of a time; both Unix seconds."""


class Feeds:
    """Asks each provider in turn, whenever it is due, for the hours that are wanted."""

    def __init__(
        self,
        asked: Sequence[Asked],
        table: IntensityTable,
        wanted: Wanted,
        clock: Callable[[], float] = time.time,
        look_s: float = LOOK_S,
    ) -> None:
        self._feeds = [
            Feed(each.provider, table, each.settings.every_s, each.settings.days_back) for each in asked
        ]
        self._enders = [each.stop for each in asked]
        self._wanted = wanted
        self._clock = clock
        self._look_s = look_s
        self._stopping = threading.Event()
        self._worker = Worker("grid", self._run, self._ended)

    def start(self) -> None:
        """Start the thread, if there is anybody to ask."""
        if self._feeds:
            self._worker.start()

    def stop(self) -> None:
        """End the request that is under way, and the thread."""
        self._stopping.set()
        for end in self._enders:
            end()
        if self._feeds:
            self._worker.join(PATIENCE_S)

    def states(self) -> list[FeedState]:
        """How each feed stands."""
        return [feed.state for feed in self._feeds]

    def _run(self) -> None:
        while not self._stopping.is_set():
            try:
                self._turn()
            except StoreUnavailable as error:
                if not self._stopping.is_set():
                    log.warning("carbon intensities: trying again, the store is not available: %s", error)
            self._stopping.wait(self._look_s)

    def _ended(self, name: str, error: BaseException) -> None:
        """A fault of ours must not end the collector: without live values there is still the table."""
        del name
        for feed in self._feeds:
            feed.ended(error, self._clock())

    def _turn(self) -> None:
        due = [feed for feed in self._feeds if feed.is_due(time.monotonic())]
        if not due:
            return
        now = self._clock()
        wanted = set(self._wanted(now))
        for feed in due:
            if not self._stopping.is_set():
                feed.turn(wanted, now, time.monotonic())
