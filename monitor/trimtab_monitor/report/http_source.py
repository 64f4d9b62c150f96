"""A collector that answers over HTTP."""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import quote

import urllib3

from trimtab_monitor.ledger import EnergySettings
from trimtab_monitor.ledger.pricing import repriced
from trimtab_monitor.report.build import RunView

_MOST_RUNS = 10_000
_NOT_OURS = "no collector of Trimtab's answers there; check --url, or TRIMTAB_URL"
_TIMEOUT = urllib3.Timeout(connect=5, read=30)


class HttpSource:
    """A collector at `url`. It prices energy with its own settings, unless `energy` has some set.

    Raises:
        OSError: it cannot be reached, or does not answer as a collector does.
    """

    def __init__(self, url: str, energy: EnergySettings) -> None:
        self.where = f"the collector at {url}"
        self._url = url.rstrip("/")
        self._energy = energy
        self._pool = urllib3.PoolManager(retries=urllib3.Retry(2, redirect=2), timeout=_TIMEOUT)

    def runs(self) -> list[str]:
        """See Source."""
        told = self._get(f"/v1/runs?limit={_MOST_RUNS}")
        if not isinstance(told, list) or not all(isinstance(run, dict) and "run" in run for run in told):
            raise OSError(f"{self._url}/v1/runs: {_NOT_OURS}")
        return [run["run"] for run in told]

    def view(self, run: str) -> RunView:
        """See Source."""
        path = f"/v1/runs/{quote(run, safe='')}"
        ledger = self._get(f"{path}/ledger")
        if self._energy.model_fields_set:
            ledger = repriced(ledger, self._energy)
        return RunView(
            run=self._get(path),
            incidents=self._get(f"{path}/incidents"),
            commands=self._get(f"{path}/commands"),
            ledger=ledger,
        )

    def close(self) -> None:
        """See Source."""
        self._pool.clear()

    def _get(self, path: str) -> Any:
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
            raise OSError(f"{self._url}{path}: {_NOT_OURS}") from None


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
