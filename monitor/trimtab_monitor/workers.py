"""Threads that do one thing for as long as the collector lives, and do not die in silence."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable

from trimtab_monitor.store.protocols import StoreUnavailable

log = logging.getLogger(__name__)

OnCrash = Callable[[str, BaseException], None]


class Worker:
    """Runs `body` in a thread. If it raises, which it should not, `on_crash` hears of it."""

    def __init__(self, name: str, body: Callable[[], None], on_crash: OnCrash) -> None:
        self.name = name
        self._body = body
        self._on_crash = on_crash
        self._thread = threading.Thread(target=self._run, name=f"trimtab-{name}", daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def join(self, timeout: float | None = None) -> None:
        """Wait for its end, at most `timeout` seconds if that is given."""
        self._thread.join(timeout)

    def is_alive(self) -> bool:
        """Whether it runs."""
        return self._thread.is_alive()

    def _run(self) -> None:
        try:
            self._body()
        except BaseException as error:
            log.exception("%s: the thread ended by a fault", self.name)
            self._on_crash(self.name, error)


class Periodic:
    """Calls `job` every `seconds` until it is stopped. A store that is not available now is tried again."""

    def __init__(self, name: str, seconds: float, job: Callable[[], None], on_crash: OnCrash) -> None:
        self._seconds = seconds
        self._job = job
        self._stopping = threading.Event()
        self._worker = Worker(name, self._loop, on_crash)

    def start(self) -> None:
        """Start calling it, the first time at once."""
        self._worker.start()

    def stop(self) -> None:
        """Stop calling it, and wait for a call that is under way."""
        self._stopping.set()
        self._worker.join()

    def _loop(self) -> None:
        while not self._stopping.is_set():
            try:
                self._job()
            except StoreUnavailable as error:
                log.warning("%s: trying again, the store is not available: %s", self._worker.name, error)
            self._stopping.wait(self._seconds)
