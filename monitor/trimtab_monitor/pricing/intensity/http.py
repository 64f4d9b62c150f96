"""One GET for JSON that ends in time, whatever is at the other end.

On the standard library's client, as alerts are sent: its socket can be shut from outside, which a limit on
the whole exchange needs. Time-outs of a socket count from byte to byte, so that a server which drips a byte
a second would hold us for ever.
"""

from __future__ import annotations

import http.client
import json
import socket
import threading
from collections.abc import Mapping
from contextlib import closing, suppress
from dataclasses import dataclass, field
from typing import Any, Final
from urllib.parse import SplitResult, urlencode, urlsplit

from trimtab_alerts.http import retry_after
from trimtab_monitor.pricing.intensity.provider import ProviderFailed

MOST_BYTES: Final = 4 * 1024 * 1024
_CHUNK: Final = 65_536
_REFUSED: Final = frozenset({401, 403})


@dataclass(slots=True)
class Getter:
    """GETs from one base URL. `stop` ends what is under way, from any thread, and refuses what comes.

    Args:
        url: what every path is put behind.
        secret_settings: which settings to check where the token is refused.
        timeout_s: how long to wait for the connection, and for each part of an answer.
        deadline_s: how long one exchange may take in all.
        most_bytes: the largest answer that is read.
    """

    url: str
    secret_settings: str
    timeout_s: float = 10.0
    deadline_s: float = 30.0
    most_bytes: int = MOST_BYTES
    _socket: socket.socket | None = field(default=None, init=False)
    _stopped: bool = field(default=False, init=False)
    _late: bool = field(default=False, init=False)
    _lock: threading.Lock = field(default_factory=threading.Lock, init=False)

    def get(self, path: str, query: Mapping[str, str], headers: Mapping[str, str]) -> Any:
        """The answer, decoded. Redirects are not followed: the token would go with them.

        Raises:
            ProviderFailed: there was none in time, it was too long, or it is not JSON.
        """
        if not all(value.isascii() and value.isprintable() for value in headers.values()):
            told = f"{self.secret_settings} holds what no header can: give it in printable ASCII, on one line"
            raise ProviderFailed(told, is_lasting=True)
        try:
            parts = urlsplit(self.url)
            target = f"{parts.path.rstrip('/')}{path}" + (f"?{urlencode(query)}" if query else "")
            with closing(_connection(parts, self.timeout_s)) as connection:
                status, pause_s, body = self._exchange(connection, target, headers)
        except (
            OSError,
            ValueError,
            http.client.HTTPException,
        ) as error:  # how a connection fails, shut or not
            raise ProviderFailed(f"{self.url}: {self._why(error)}") from None
        if status != 200:
            raise self._refusal(status, pause_s)
        return self._decoded(body)

    def stop(self) -> None:
        """End what is under way; nothing is asked any more."""
        with self._lock:
            self._stopped = True
        self._shut()

    def _exchange(
        self, connection: http.client.HTTPConnection, target: str, headers: Mapping[str, str]
    ) -> tuple[int, float | None, bytes]:
        self._late = False
        watchdog = threading.Timer(self.deadline_s, self._give_up)
        watchdog.daemon = True
        watchdog.start()
        try:
            self._refuse_if_stopped()
            connection.connect()
            with self._lock:
                self._socket = connection.sock  # the connection forgets it where the answer ends with it
            self._refuse_if_stopped()
            connection.request("GET", target, headers={"Accept": "application/json", **_AGENT, **headers})
            with closing(connection.getresponse()) as answer:
                pause_s = retry_after(answer.headers.get("Retry-After", ""), answer.headers.get("Date", ""))
                return answer.status, pause_s, self._read(answer) if answer.status == 200 else b""
        finally:
            watchdog.cancel()
            with self._lock:
                self._socket = None

    def _read(self, answer: http.client.HTTPResponse) -> bytes:
        body = bytearray()
        while chunk := answer.read(_CHUNK):
            body += chunk
            if len(body) > self.most_bytes:
                raise ValueError(f"the answer is longer than {self.most_bytes} bytes")
        if self._late or answer.length:
            raise http.client.IncompleteRead(b"")
        return bytes(body)

    def _give_up(self) -> None:
        self._late = True
        self._shut()

    def _shut(self) -> None:
        with self._lock:
            if self._socket is not None:
                with suppress(OSError):  # it is closed already
                    self._socket.shutdown(socket.SHUT_RDWR)

    def _refuse_if_stopped(self) -> None:
        if self._stopped or self._late:
            raise TimeoutError("stopped" if self._stopped else "no connection in time")

    def _why(self, error: Exception) -> str:
        if self._stopped:
            return "stopped while it was asked"
        if self._late:
            return f"no whole answer within {self.deadline_s:g} s"
        return f"{type(error).__name__}: {error}"

    def _refusal(self, status: int, pause_s: float | None) -> ProviderFailed:
        if status in _REFUSED:
            told = f"{self.url} refused us ({status}): check {self.secret_settings}"
            return ProviderFailed(told, is_lasting=True, status=status)
        if 300 <= status < 400:
            told = f"{self.url} answered with a redirect ({status}), which is not followed: give its new url"
            return ProviderFailed(told, is_lasting=True, status=status)
        return ProviderFailed(f"{self.url} answered {status}", pause_s=pause_s, status=status)

    def _decoded(self, body: bytes) -> Any:
        try:
            return json.loads(body)
        except (ValueError, RecursionError):
            raise ProviderFailed(f"{self.url} answered with something that is not JSON: check url") from None


_AGENT: Final = {"User-Agent": "trimtab"}


def _connection(parts: SplitResult, timeout_s: float) -> http.client.HTTPConnection:
    if parts.hostname is None:
        raise ValueError("the URL names no host")
    kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
    return kind(parts.hostname, parts.port, timeout=timeout_s)
