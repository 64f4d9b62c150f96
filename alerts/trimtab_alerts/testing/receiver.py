"""A real HTTP server on loopback that takes what notifiers send, and answers as it is told to."""

from __future__ import annotations

import json
import threading
from collections.abc import Mapping
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from types import TracebackType
from typing import Any, Self


@dataclass(frozen=True, slots=True)
class Received:
    """One request as it came."""

    path: str
    headers: Mapping[str, str]
    body: bytes

    def json(self) -> Any:
        """The body, decoded."""
        return json.loads(self.body)


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer. `hold` keeps it back until the event is set; `echo` sends the request back in its body."""

    status: int = 202
    headers: Mapping[str, str] = field(default_factory=dict)
    body: bytes = b"{}"
    hold: threading.Event | None = None
    echo: bool = False


class Receiver:
    """Answers with `replies` in turn, then with `default`; keeps what it received. Use it in a `with`."""

    def __init__(self, *replies: Reply, default: Reply | None = None) -> None:
        self.received: list[Received] = []
        self._replies = list(replies)
        self._default = default or Reply()
        self._changed = threading.Condition()
        self._server = ThreadingHTTPServer(("127.0.0.1", 0), _handler(self))
        self._server.daemon_threads = True
        self._thread = threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02})

    @property
    def url(self) -> str:
        """Where it listens, with a path that holds a token, as such URLs have."""
        return f"http://127.0.0.1:{self._server.server_port}/hook/t0ken?key=s3cret"

    def wait_for(self, count: int, timeout: float = 30.0) -> list[Received]:
        """What it received, once that is `count` requests or more.

        Raises:
            TimeoutError: they did not come.
        """
        with self._changed:
            if not self._changed.wait_for(lambda: len(self.received) >= count, timeout):
                raise TimeoutError(
                    f"{len(self.received)} requests came within {timeout} s, {count} are needed"
                )
            return list(self.received)

    def take(self, request: Received) -> Reply:
        """Keep a request; return the answer to it."""
        with self._changed:
            self.received.append(request)
            self._changed.notify_all()
            return self._replies.pop(0) if self._replies else self._default

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._server.shutdown()
        self._thread.join()
        self._server.server_close()


def _handler(receiver: Receiver) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers.get("Content-Length", "0")))
            request = Received(self.path, dict(self.headers.items()), body)
            self._answer(receiver.take(request), request)

        def _answer(self, reply: Reply, request: Received) -> None:
            if reply.hold is not None:
                reply.hold.wait()
            self.send_response(reply.status)
            for name, value in reply.headers.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(_echo(request) if reply.echo else reply.body)

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - as http.server names it
            """Say nothing."""

    return Handler


def _echo(request: Received) -> bytes:
    return f"{request.path} {dict(request.headers)} ".encode() + request.body
