"""One POST, and what its answer means for a retry."""

from __future__ import annotations

import logging
from collections.abc import Mapping
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import Final
from urllib.parse import urlsplit

import urllib3
from urllib3.exceptions import HTTPError, LocationValueError

from trimtab_alerts.outcome import Ok, Outcome, Permanent, Retry
from trimtab_alerts.text import shorten, strike_out

log = logging.getLogger(__name__)

_RETRYABLE_4XX: Final = frozenset({408, 425, 429})
_ANSWER_BYTES: Final = 1000


class Poster:
    """Posts JSON with a time limit. Redirects are not followed: they would carry secrets elsewhere."""

    def __init__(self, timeout_seconds: float) -> None:
        self._pool = urllib3.PoolManager(
            timeout=urllib3.Timeout(total=timeout_seconds), retries=False, headers={"User-Agent": "trimtab"}
        )

    def post(
        self, url: str, body: bytes, secrets: tuple[str, ...], headers: Mapping[str, str] | None = None
    ) -> Outcome:
        """Post the body; no secret, nor the URL's path, appears in the outcome."""
        hidden = (*secrets, url, *_path_of(url))
        try:
            return self._post(url, body, {"Content-Type": "application/json", **(headers or {})}, hidden)
        except LocationValueError:
            return Retry("the URL cannot be parsed; correct it")
        except HTTPError as error:
            return Retry(strike_out(f"{type(error).__name__}: {error}", hidden))

    def _post(self, url: str, body: bytes, headers: Mapping[str, str], hidden: tuple[str, ...]) -> Outcome:
        response = self._pool.request(
            "POST",
            url,
            body=body,
            headers={"User-Agent": "trimtab", **headers},
            redirect=False,
            preload_content=False,
        )
        try:
            answer = response.read(_ANSWER_BYTES).decode("utf-8", "replace")
            detail = strike_out(f"{_status(response.status)} {answer}".strip(), hidden)
            return outcome_of(response.status, response.headers, detail)
        finally:
            response.close()


def outcome_of(status: int, headers: Mapping[str, str], detail: str) -> Outcome:
    """What an HTTP status means: 2xx done; 408, 425, 429 and 5xx may pass; all else will not."""
    detail = shorten(detail, 500)
    if 200 <= status < 300:
        return Ok(detail)
    if status in _RETRYABLE_4XX or status >= 500:
        return Retry(detail, retry_after(headers))
    return Permanent(detail)


def retry_after(headers: Mapping[str, str]) -> float | None:
    """The pause that Retry-After asks for, in seconds, or none.

    It is a number of seconds, or a date: then it counts from the answer's own Date, so that a difference
    between the two clocks does not matter (RFC 9110, 10.2.3).
    """
    value = headers.get("Retry-After", "").strip()
    if value.isascii() and value.isdigit():
        return float(value[:9])
    try:
        until = parsedate_to_datetime(value)
        answered = parsedate_to_datetime(headers.get("Date", ""))
        return max(0.0, (until - answered).total_seconds())
    except (ValueError, TypeError):  # not a date; or one date with a time zone and one without
        return None


def _path_of(url: str) -> tuple[str, ...]:
    """The part of a URL in which a token hides, if it has one."""
    parts = urlsplit(url)
    path = parts.path + (f"?{parts.query}" if parts.query else "")
    return (path,) if len(path) > 1 else ()


def _status(status: int) -> str:
    try:
        return f"{status} {HTTPStatus(status).phrase}"
    except ValueError:
        return str(status)
