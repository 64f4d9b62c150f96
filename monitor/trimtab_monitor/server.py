"""The HTTP server: uvicorn on a socket that is bound before anything else, so that its address is known."""

from __future__ import annotations

import asyncio
import contextlib
import logging
import signal
import socket
import threading
from collections.abc import Callable, Iterator
from typing import Any, Final

import uvicorn

log = logging.getLogger(__name__)

BACKLOG: Final = 2048
GRACE_S: Final = 5
KEEP_ALIVE_S: Final = 75
"""Longer than hooks are silent, so that their connection is not closed under their hands."""


class AddressTaken(RuntimeError):  # noqa: N818 - a state, told as such
    """The address cannot be listened on; the message says why and what to do."""


def bind(host: str, port: int) -> socket.socket:
    """Bind a TCP socket; connections queue from now on.

    Raises:
        AddressTaken: the port is taken, or the host is none of this machine's.
    """
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        listener = socket.socket(family, kind, protocol)
    except OSError as error:
        raise AddressTaken(f"cannot listen on {host}: {error.strerror}; give another --host") from None
    try:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(address)
        listener.listen(BACKLOG)
    except OSError as error:
        listener.close()
        raise AddressTaken(
            f"cannot listen on {host}:{port}: {error.strerror}; "
            "give another --port, or stop what listens there"
        ) from None
    return listener


def inherited(fd: int) -> socket.socket:
    """The bound socket that the starting process passed on."""
    listener = socket.socket(fileno=fd)
    listener.listen(BACKLOG)
    return listener


def url_of(listener: socket.socket) -> str:
    """Where a bound socket is reached from this machine."""
    host, port = listener.getsockname()[:2]
    if host in ("0.0.0.0", "::"):  # noqa: S104 - what is bound, not what we bind
        host = "127.0.0.1"
    return f"http://[{host}]:{port}" if ":" in host else f"http://{host}:{port}"


class Server(uvicorn.Server):
    """Serves `app` until it is told to stop; `on_stop` runs in its loop before connections are waited for."""

    def __init__(self, app: Any, on_stop: Callable[[], None]) -> None:
        super().__init__(
            uvicorn.Config(
                app,
                log_config=None,
                log_level="warning",
                access_log=False,
                lifespan="off",
                backlog=BACKLOG,
                timeout_keep_alive=KEEP_ALIVE_S,
                timeout_graceful_shutdown=GRACE_S,
                server_header=False,
            )
        )
        self._on_stop = on_stop
        self.crash: str | None = None

    def serve_on(self, listener: socket.socket) -> None:
        """Serve until SIGINT, SIGTERM or `stop`."""
        with _signals_are_ours():
            self.run(sockets=[listener])

    def stop(self) -> None:
        """Stop serving; from any thread."""
        self.should_exit = True

    def crashed(self, name: str, error: BaseException) -> None:
        """A part of the collector ended by a fault: stop, and say why."""
        self.crash = f"{name}: {type(error).__name__}: {error}"
        self.stop()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        """End what would never end by itself, then everything else."""
        self._on_stop()
        await asyncio.sleep(0)
        await super().shutdown(sockets)


@contextlib.contextmanager
def _signals_are_ours() -> Iterator[None]:
    """Uvicorn raises the signal that stopped it once more; by then we must still take everything down."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    previous = {each: signal.signal(each, _note) for each in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield
    finally:
        for each, handler in previous.items():
            signal.signal(each, handler)


def _note(number: int, _frame: object) -> None:
    log.info("stopping: %s", signal.Signals(number).name)
