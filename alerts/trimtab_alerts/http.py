"""One POST, and what its answer means for a retry.

On the standard library's client: urllib3 and its like log every URL, and a webhook's URL is a secret.
"""

from __future__ import annotations

import base64
import http.client
import re
from collections.abc import Mapping
from contextlib import closing
from dataclasses import dataclass
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import Final
from urllib.parse import SplitResult, unquote, urlsplit

from trimtab_alerts.outcome import Ok, Outcome, Permanent, Retry
from trimtab_alerts.text import shorten, strike_out

_RETRYABLE_4XX: Final = frozenset({408, 425, 429})
_ANSWER_BYTES: Final = 1000
_TOKEN_CHARS: Final = 5
"""Path segments and query values of this length or more are taken for tokens."""


@dataclass(frozen=True, slots=True)
class Poster:
    """Posts JSON, waiting at most `timeout_seconds` for each answer. Redirects are not followed."""

    timeout_seconds: float

    def post(
        self, url: str, body: bytes, secrets: tuple[str, ...], headers: Mapping[str, str] | None = None
    ) -> Outcome:
        """Post the body; none of the secrets, nor of the URL's own, appears in the outcome."""
        try:
            parts = urlsplit(url)
            with closing(self._connect(parts)) as connection:
                connection.request("POST", _target(parts), body, {**_headers(parts), **(headers or {})})
                status, text, pause = _answer(connection.getresponse())
        except (ValueError, http.client.InvalidURL):
            return Retry("the URL cannot be parsed; correct it")
        except (OSError, http.client.HTTPException) as error:
            return Retry(strike_out(f"{type(error).__name__}: {error}", (*secrets, *_secret_parts(parts))))
        detail = strike_out(f"{_status(status)} {text}".strip(), (*secrets, *_secret_parts(parts)))
        return outcome_of(status, detail, pause)

    def _connect(self, parts: SplitResult) -> http.client.HTTPConnection:
        if parts.hostname is None:
            raise ValueError("no host")
        kind = http.client.HTTPSConnection if parts.scheme == "https" else http.client.HTTPConnection
        return kind(parts.hostname, parts.port, timeout=self.timeout_seconds)


def outcome_of(status: int, detail: str, pause_seconds: float | None = None) -> Outcome:
    """What an HTTP status means: 2xx done; 408, 425, 429 and 5xx may pass; all else will not."""
    detail = shorten(detail, 500)
    if 200 <= status < 300:
        return Ok(detail)
    if status in _RETRYABLE_4XX or status >= 500:
        return Retry(detail, pause_seconds)
    return Permanent(detail)


def retry_after(value: str, date: str) -> float | None:
    """The pause that the headers Retry-After and Date ask for, in seconds, or none.

    It is a number of seconds, or a date: then it counts from the answer's own Date, so that a difference
    between the two clocks does not matter (RFC 9110, 10.2.3).
    """
    value = value.strip()
    if value.isascii() and value.isdigit():
        return float(value[:9])
    try:
        until = parsedate_to_datetime(value)
        answered = parsedate_to_datetime(date)
        return max(0.0, (until - answered).total_seconds())
    except (ValueError, TypeError):  # not a date; or one date with a time zone and one without
        return None


def _target(parts: SplitResult) -> str:
    return (parts.path or "/") + (f"?{parts.query}" if parts.query else "")


def _headers(parts: SplitResult) -> dict[str, str]:
    headers = {"Content-Type": "application/json", "User-Agent": "trimtab"}
    if parts.username is not None:
        pair = f"{unquote(parts.username)}:{unquote(parts.password or '')}"
        headers["Authorization"] = f"Basic {base64.b64encode(pair.encode()).decode()}"
    return headers


def _answer(response: http.client.HTTPResponse) -> tuple[int, str, float | None]:
    """The status, which alone decides; the beginning of the text, as far as it comes; the pause asked for."""
    try:
        text = response.read(_ANSWER_BYTES).decode("utf-8", "replace")
    except (OSError, http.client.HTTPException):
        text = ""
    pause = retry_after(response.headers.get("Retry-After", ""), response.headers.get("Date", ""))
    return response.status, text, pause


def _secret_parts(parts: SplitResult) -> list[str]:
    """Where a URL may hide a token: user and password, path and query, whole and in pieces."""
    target = _target(parts)
    pieces = [piece for piece in re.split(r"[/?&=]", target) if len(piece) >= _TOKEN_CHARS]
    credentials = [part for part in (parts.username, parts.password) if part]
    encoded = _headers(parts).get("Authorization", "").removeprefix("Basic ")
    return [*([target] if len(target) > 1 else []), *pieces, *credentials, encoded]


def _status(status: int) -> str:
    try:
        return f"{status} {HTTPStatus(status).phrase}"
    except ValueError:
        return str(status)
