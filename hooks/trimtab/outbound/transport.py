"""How a request reaches the collector: one method, so that tests and the embedded case need no patching."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Protocol

if TYPE_CHECKING:
    import urllib3

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
    """HTTP with one kept-alive connection and no retries of its own.

    `find` returns the collector's address. It is asked at the start, and again after the collector could not
    be reached: an embedded collector may have to be started anew, on another port.
    """

    def __init__(self, find: Callable[[], str], patience: Patience | None = None) -> None:
        import urllib3

        # Loaded here and now: a child that is forked while a thread imports a module can never import it.
        "localhost".encode("idna")
        self._find = find
        self._base: str | None = None
        self._patience = patience or Patience()
        timeout = urllib3.Timeout(connect=self._patience.connect, read=self._patience.read)
        self._pool: urllib3.PoolManager = urllib3.PoolManager(
            num_pools=2, maxsize=2, retries=False, timeout=timeout
        )

    def post(self, path: str, body: bytes, content_type: str) -> Answer:
        """Send a request; raises `UnreachableError` if no answer comes in time."""
        import urllib3

        headers = {"Content-Type": content_type, "Accept": "application/json"}
        base = self._base
        try:
            if base is None:
                base = self._base = self._find()
            response = self._pool.request(
                "POST", base + path, body=body, headers=headers, preload_content=False, redirect=False
            )
            return Answer(response.status, self._read(response), retry_after(response.headers))
        except (urllib3.exceptions.HTTPError, OSError) as error:
            self._base = None
            reason = getattr(error, "reason", None) or error
            raise UnreachableError(f"{base or 'no collector'}: {reason}") from error

    def _read(self, response: urllib3.BaseHTTPResponse) -> bytes:
        """Read the answer, bounded in size and in time: what answers may be anything that listens there."""
        deadline = time.monotonic() + self._patience.body
        body = b""
        while chunk := response.read1(_CHUNK):
            body += chunk
            if len(body) > _LARGEST_ANSWER or time.monotonic() > deadline:
                response.close()
                raise TimeoutError(f"the answer did not end: {len(body)} bytes so far")
        return body


def retry_after(headers: Mapping[str, str]) -> float | None:
    """Return the seconds that a Retry-After header asks for; a date or rubbish counts as none."""
    text = headers.get("Retry-After", "").strip()
    return float(text) if text.isascii() and text.isdigit() and len(text) < 7 else None
