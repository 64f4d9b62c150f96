"""Asks a collector over HTTP."""

from __future__ import annotations

import json
from typing import Any, Final

import urllib3

_NOT_OURS: Final = "no collector of Trimtab's answers there; check --url, or TRIMTAB_URL"


class Asking:
    """A collector at `url`; each question waits so many seconds for an answer, and is put `tries` times.

    Raises:
        OSError: it cannot be reached, or does not answer as a collector does.
    """

    def __init__(self, url: str, patience: float = 30.0, tries: int = 3) -> None:
        self.where = f"the collector at {url}"
        self._url = url.rstrip("/")
        timeout = urllib3.Timeout(connect=min(5.0, patience), read=patience)
        self._pool = urllib3.PoolManager(retries=urllib3.Retry(tries - 1, redirect=2), timeout=timeout)

    def get(self, path: str) -> Any:
        """What it answers, as JSON."""
        try:
            answer = self._pool.request("GET", self._url + path)
        except urllib3.exceptions.HTTPError as error:
            raise OSError(
                f"{self.where} cannot be reached ({_why(error)}): start it, or give --url or --dir"
            ) from None
        if answer.status != 200:
            raise OSError(f"{self._url}{path} answered {answer.status}{_said(answer)}")
        try:
            return json.loads(answer.data)
        except ValueError:
            raise self.stranger(path) from None

    def stranger(self, path: str) -> OSError:
        """The error for an answer that no collector gives."""
        return OSError(f"{self._url}{path}: {_NOT_OURS}")

    def close(self) -> None:
        """Close the connections."""
        self._pool.clear()


def _why(error: urllib3.exceptions.HTTPError) -> str:
    reason = getattr(error, "reason", None) or error
    return str(reason).rpartition(": ")[2]


def _said(answer: urllib3.BaseHTTPResponse) -> str:
    """What a collector says of its refusal; who does not speak as one is none."""
    if not answer.headers.get("content-type", "").startswith("application/problem+json"):
        return f": {_NOT_OURS}"
    try:
        problem = json.loads(answer.data)
    except ValueError:
        return ""
    told = problem.get("detail") or problem.get("title") if isinstance(problem, dict) else None
    return f": {told}" if told else ""
