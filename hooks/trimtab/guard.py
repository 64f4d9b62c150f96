"""The outermost guard: nothing raises into the training loop, and nothing is swallowed unseen."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Final

LOG = logging.getLogger("trimtab")
_MOST_KINDS: Final = 64


class Tally:
    """Counts what goes wrong, by what it is and a detail of it; `take` hands the counts over, once.

    Counting is for any thread, and for a signal handler that interrupts it.
    """

    def __init__(self) -> None:
        self._lock = threading.RLock()
        self._new: dict[tuple[str, str], int] = {}
        self._known: set[tuple[str, str]] = set()

    def count(self, what: str, detail: str = "", by: int = 1) -> bool:
        """Add to a count; True: this is the first of its kind. Beyond 64 kinds all count as `others`."""
        with self._lock:
            key = (what, detail)
            first = key not in self._known
            if first and len(self._known) >= _MOST_KINDS:
                key, first = ("others", ""), False
            self._known.add(key)
            self._new[key] = self._new.get(key, 0) + by
            return first

    def take(self) -> dict[tuple[str, str], int]:
        """Return what was counted since the last call."""
        if not self._new:
            return {}
        with self._lock:
            taken, self._new = self._new, {}
            return taken


class Guard:
    """Catches what must not reach the training loop; counts it, logs the first of each kind."""

    def __init__(self) -> None:
        self.errors = Tally()

    def caught(self, where: str, error: Exception) -> None:
        """Note an error of Trimtab's own; KeyboardInterrupt and SystemExit never come here."""
        if self.errors.count(where, reason_of(error)):
            LOG.error("trimtab: %s: %s: training goes on without it", where, error, exc_info=error)

    @contextmanager
    def shield(self, where: str) -> Iterator[None]:
        """Run a block whose errors must not reach its caller."""
        try:
            yield
        except Exception as error:  # noqa: BLE001  (the job comes first: this is the outermost guard)
            self.caught(where, error)


def reason_of(error: BaseException) -> str:
    """Return an error as a run's end and a hook's fault have it.

    >>> reason_of(RuntimeError("out of memory")), reason_of(KeyboardInterrupt())
    ('RuntimeError: out of memory', 'KeyboardInterrupt')
    """
    name = type(error).__name__
    return f"{name}: {error}"[:300] if str(error) else name
