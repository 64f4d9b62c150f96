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
        return [run["run"] for run in self._get(f"/v1/runs?limit={_MOST_RUNS}")]

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
            if answer.status != 200:
                raise OSError(f"{self._url}{path} answered {answer.status}: {_said(answer.data)}")
            return json.loads(answer.data)
        except urllib3.exceptions.HTTPError as error:
            raise OSError(
                f"{self.where} cannot be reached ({_why(error)}): start it, or give --url or --dir"
            ) from None
        except json.JSONDecodeError:
            raise OSError(f"{self._url}{path} is no collector's: it answered no JSON; check --url") from None


def _why(error: urllib3.exceptions.HTTPError) -> str:
    reason = getattr(error, "reason", None) or error
    return str(reason).rpartition(": ")[2]


def _said(body: bytes) -> str:
    return body[:200].decode(errors="replace")
