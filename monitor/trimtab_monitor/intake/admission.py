"""How much may be on its way into the log, in all and of each run, so that none drowns the others."""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager

from trimtab_monitor.api.problems import too_busy


class Held:
    """A batch on its way; `stored` is set once it is in the log, where the fold has yet to come to it."""

    __slots__ = ("stored",)

    def __init__(self) -> None:
        self.stored = False


class Admission:
    """Counts the bytes that wait to be stored, and each run's batches that are not yet folded."""

    def __init__(self, max_inflight_bytes: int, max_backlog: int) -> None:
        self._max_bytes = max_inflight_bytes
        self._max_backlog = max_backlog
        self._lock = threading.Lock()
        self._bytes = 0
        self._backlog: defaultdict[str, int] = defaultdict(int)

    @contextmanager
    def hold(self, run: str, size: int) -> Iterator[Held]:
        """Hold a batch of `size` bytes while it is stored.

        Raises:
            Problem: 429, too much is on its way already.
        """
        self._enter(run, size)
        held = Held()
        try:
            yield held
        finally:
            with self._lock:
                self._bytes -= size
            if not held.stored:
                self.folded(run, 1)

    def folded(self, run: str, batches: int) -> None:
        """Some batches of the run wait no more."""
        with self._lock:
            left = self._backlog.pop(run, 0) - batches
            if left > 0:
                self._backlog[run] = left

    def _enter(self, run: str, size: int) -> None:
        with self._lock:
            # Counted before it is stored: the fold may come to it before its sender hears of it.
            waiting, bytes_ = self._backlog[run], self._bytes
            if waiting < self._max_backlog and (not bytes_ or bytes_ + size <= self._max_bytes):
                self._backlog[run] += 1
                self._bytes += size
                return
        if waiting >= self._max_backlog:
            raise too_busy(
                f"{waiting} batches of run {run!r} wait to be judged.",
                "Send larger batches less often, or wait and send this one again.",
            )
        raise too_busy(f"{bytes_} bytes of batches wait to be stored.", "Wait, then send the batch again.")
