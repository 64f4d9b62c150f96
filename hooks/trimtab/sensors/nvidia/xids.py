"""The error reports of a board's driver, XIDs, as they come.

https://docs.nvidia.com/deploy/xid-errors lists what each number means.
"""

from __future__ import annotations

from typing import Any, Final

from trimtab.sensors.nvidia.boards import Board

_XID_EVENTS: Final = 0x8
"""nvmlEventTypeXidCriticalError."""
_WAIT_MS: Final = 1
"""Just long enough to ask: the driver keeps the events until then."""
_MOST_AT_ONCE: Final = 16


class Xids:
    """Hears of one board's XIDs, once the driver lets it; a board that tells none is asked no more."""

    def __init__(self, board: Board) -> None:
        self._board = board
        self._events: Any | None = None
        self._opened = 0
        self._heard: list[int] = []

    def ask(self) -> None:
        """Ask for those that came; the first call asks the driver to tell them."""
        driver = self._board.driver
        if self._opened != driver.opened:
            self._opened = driver.opened
            self._events = self._registered()
        for _ in range(_MOST_AT_ONCE if self._events is not None else 0):
            event = driver.ask("nvmlEventSetWait_v2", self._events, _WAIT_MS)
            if event is None:
                return
            self._heard.append(int(event.eventData))

    def take(self) -> list[int]:
        """Return the numbers heard since the last call."""
        heard, self._heard = self._heard, []
        return heard

    def close(self) -> None:
        """Let the driver forget that it was asked."""
        if self._events is not None:
            self._board.driver.ask("nvmlEventSetFree", self._events)
        self._events, self._opened = None, 0

    def _registered(self) -> Any | None:
        driver = self._board.driver
        events = driver.ask("nvmlEventSetCreate")
        # A function that succeeds returns None too: what was registered is known by asking what may be.
        supported = self._board.ask("nvmlDeviceGetSupportedEventTypes") or 0
        if events is None or not supported & _XID_EVENTS:
            return None
        self._board.ask("nvmlDeviceRegisterEvents", _XID_EVENTS, events)
        return events
