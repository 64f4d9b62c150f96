"""When an embedded collector has nothing left to do."""

from __future__ import annotations

from collections.abc import Callable

from trimtab_alerts.outbox import OutboxUnavailable
from trimtab_monitor.folding.engine import Engine
from trimtab_monitor.store.protocols import Store, StoreUnavailable


class IdleWatch:
    """Calls `stop` once no run was live and nothing was left to fold or to tell for `seconds`."""

    def __init__(
        self,
        engine: Engine,
        store: Store,
        seconds: float,
        stop: Callable[[], None],
        clock: Callable[[], float],
    ) -> None:
        self._engine = engine
        self._store = store
        self._seconds = seconds
        self._stop = stop
        self._clock = clock
        self._busy_at = clock()

    def look(self) -> None:
        """See whether there is something to do."""
        now = self._clock()
        if self._is_busy():
            self._busy_at = now
        elif now - self._busy_at >= self._seconds:
            self._stop()

    def _is_busy(self) -> bool:
        if self._engine.live or self._engine.progress.position < self._store.log.end():
            return True
        try:
            return self._store.outbox.depth() > 0
        except OutboxUnavailable as error:
            raise StoreUnavailable(str(error)) from error
