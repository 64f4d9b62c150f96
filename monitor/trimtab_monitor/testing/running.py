"""A real collector, with a real server on loopback, in a thread of the test."""

from __future__ import annotations

import threading
from pathlib import Path
from types import TracebackType
from typing import Self

from trimtab_monitor.app import build
from trimtab_monitor.server import Server, bind, url_of
from trimtab_monitor.settings import Settings
from trimtab_monitor.teardown import Teardown


class RunningCollector:
    """Serves from `folder` at `url` between `with` and its end; then again, on the same folder, if wanted."""

    def __init__(self, folder: Path, settings: Settings | None = None, *, embedded: bool = False) -> None:
        self._folder = folder
        self._settings = settings or Settings()
        self._embedded = embedded
        self._stop = Teardown()
        self._server: Server
        self._thread: threading.Thread
        self.url = ""

    def __enter__(self) -> Self:
        self._folder.mkdir(parents=True, exist_ok=True)
        listener = bind("127.0.0.1", 0)
        self._stop.add("listener", listener.close)
        self.url = url_of(listener)
        try:
            self._server = build(self._settings, self._folder, self.url, self._stop, embedded=self._embedded)
        except BaseException:
            self._stop.run()
            raise
        self._thread = threading.Thread(target=self._server.serve_on, args=(listener,), daemon=True)
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()
        self._thread.join(30)
        self._stop.run()
        assert not self._thread.is_alive(), "the server does not stop"
        assert self._server.crash is None, self._server.crash

    def stop(self) -> None:
        """Tell it to stop."""
        self._server.stop()

    def wait_until_stopped(self, timeout: float) -> bool:
        """Wait for it to stop by itself; returns whether it did within `timeout` seconds."""
        self._thread.join(timeout)
        return not self._thread.is_alive()
