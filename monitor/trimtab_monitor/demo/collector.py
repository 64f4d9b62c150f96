"""What the demo reads back from its collector, over the same HTTP that everyone else uses."""

from __future__ import annotations

import json
import time
from typing import Any
from urllib.parse import urlsplit

import urllib3


class CollectorView:
    """Reads one collector's API.

    `page` is any address that the collector gave, such as a run's page.
    """

    def __init__(self, page: str) -> None:
        parts = urlsplit(page)
        self.url = f"{parts.scheme}://{parts.netloc}"
        self._http = urllib3.PoolManager(timeout=urllib3.Timeout(connect=2, read=10), retries=False)

    def get(self, path: str) -> Any:
        """Return the JSON at `path`.

        Raises:
            RuntimeError: the collector did not answer with it.
        """
        answer = self._http.request("GET", self.url + path)
        if answer.status != 200:
            raise RuntimeError(
                f"{self.url}{path}: the collector answered {answer.status}: {answer.data[:200]!r}"
            )
        return json.loads(answer.data)

    def incidents(self, run: str) -> list[dict[str, Any]]:
        """Return the run's incidents, oldest first."""
        found: list[dict[str, Any]] = self.get(f"/v1/runs/{run}/incidents")
        return found

    def rollbacks(self, run: str) -> list[dict[str, Any]]:
        """Return the rollbacks that the job carried out, oldest first."""
        commands: list[dict[str, Any]] = self.get(f"/v1/runs/{run}/commands")
        return [each for each in commands if each["kind"] == "rollback" and each["state"] == "applied"]

    def wait_until_finished(self, run: str, deadline_s: float = 20.0) -> None:
        """Wait until the collector has understood all that the run sent.

        Raises:
            RuntimeError: it had not by the deadline.
        """
        until = time.monotonic() + deadline_s
        while (status := self.get(f"/v1/runs/{run}")["status"]) not in ("finished", "failed"):
            if time.monotonic() > until:
                raise RuntimeError(f"run {run} is still {status} {deadline_s:.0f} s after its end")
            time.sleep(0.1)
