"""How a request reaches the collector: one method, so that tests and the embedded case need no patching.

On the standard library's client: urllib3 and its like take megabytes of a training job's memory, hold the
interpreter's lock for longer, and log each request where the job logs at DEBUG.
"""

from __future__ import annotations

import select
import time
import weakref
from collections import deque
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Protocol
from urllib.parse import quote, urlsplit

from trimtab.version import __version__

if TYPE_CHECKING:
    from http.client import HTTPConnection, HTTPResponse

_LARGEST_ANSWER: Final = 4 * 2**20
_CHUNK: Final = 65536


@dataclass(frozen=True, slots=True)
class Patience:
    """How long to wait, in seconds: for a connection, for the next bytes, for the whole body of an answer."""

    connect: float = 2.0
    read: float = 10.0
    body: float = 30.0


@dataclass(frozen=True, slots=True)
class Answer:
    """What the collector answered; `retry_after` in seconds, if it said so."""

    status: int
    body: bytes
    retry_after: float | None = None


class UnreachableError(ConnectionError):
    """No answer came: refused, timed out, cut off. The remedy is to try again later."""


class Transport(Protocol):
    """Sends one request and returns the answer, whatever its status."""

    def post(self, path: str, body: bytes, content_type: str) -> Answer:
        """Send a request; raises `UnreachableError` if no answer comes in time."""


class HttpTransport:
    """HTTP with connections that are kept alive, one for each thread at a time, and no retries of its own.

    `find` returns the collector's address. It is asked at the start, and again after the collector could not
    be reached: an embedded collector may have to be started anew, on another port.
    """

    def __init__(self, find: Callable[[], str], patience: Patience | None = None) -> None:
        import http.client

        # Loaded here and now: a child that is forked while a thread imports a module can never import it.
        "localhost".encode("idna")
        self._troubles = (http.client.HTTPException, OSError, UnicodeError)
        self._find = find
        self._base: str | None = None
        self._patience = patience or Patience()
        self._idle: deque[tuple[str, HTTPConnection]] = deque()
        weakref.finalize(self, _close_all, self._idle)

    def post(self, path: str, body: bytes, content_type: str) -> Answer:
        """Send a request; raises `UnreachableError` if no answer comes in time."""
        base = self._base
        connection: HTTPConnection | None = None
        try:
            if base is None:
                base = self._base = self._find()
            connection = self._connection(base)
            answer = self._exchange(connection, _target(base, path), body, content_type)
        except self._troubles as error:
            self._base = None
            if connection is not None:
                connection.close()
            raise UnreachableError(f"{base or 'no collector'}: {error or type(error).__name__}") from error
        if connection.sock is not None:  # the collector keeps it open
            self._idle.append((base, connection))
        return answer

    def _connection(self, base: str) -> HTTPConnection:
        """Return a connection to the address: one that is kept alive still, else a new one."""
        while self._idle:
            theirs, connection = self._idle.pop()
            if theirs == base and not _has_ended(connection):
                return connection
            connection.close()
        connection = _new_connection(base, self._patience.connect)
        connection.connect()
        connection.sock.settimeout(self._patience.read)
        return connection

    def _exchange(self, connection: HTTPConnection, target: str, body: bytes, content_type: str) -> Answer:
        headers = {
            "Content-Type": content_type,
            "Accept": "application/json",
            "User-Agent": f"trimtab/{__version__}",
        }
        with suppress(BrokenPipeError):  # it may have answered before it had read all
            connection.request("POST", target, body, headers)
        response = connection.getresponse()
        try:
            return Answer(response.status, self._read(response), retry_after(dict(response.getheaders())))
        finally:
            response.close()

    def _read(self, response: HTTPResponse) -> bytes:
        """Read the answer, bounded in size and in time: what answers may be anything that listens there."""
        deadline = time.monotonic() + self._patience.body
        body = b""
        while chunk := response.read1(_CHUNK):
            body += chunk
            if len(body) > _LARGEST_ANSWER or time.monotonic() > deadline:
                raise TimeoutError(f"the answer did not end: {len(body)} bytes so far")
        return body


def _new_connection(base: str, timeout: float) -> HTTPConnection:
    from http.client import HTTPConnection, HTTPSConnection

    parts = urlsplit(base)
    kind = HTTPSConnection if parts.scheme == "https" else HTTPConnection
    return kind(parts.hostname or "", parts.port, timeout=timeout)


def _has_ended(connection: HTTPConnection) -> bool:
    """Tell whether the other side has closed it, or said what nobody asked for."""
    if connection.sock is None:
        return True
    waiting = select.poll()  # which knows no bound on the numbers of files, as `select` does
    waiting.register(connection.sock, select.POLLIN)
    return bool(waiting.poll(0))


def _target(base: str, path: str) -> str:
    return quote(urlsplit(base).path, safe="/%:@!$&'()*+,;=~") + path


def _close_all(idle: deque[tuple[str, HTTPConnection]]) -> None:
    while idle:
        idle.pop()[1].close()


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Return the seconds that a Retry-After header asks for; a date or rubbish counts as none."""
    text = next((value.strip() for name, value in headers.items() if name.lower() == "retry-after"), "")
    return float(text) if text.isascii() and text.isdigit() and len(text) < 7 else None
