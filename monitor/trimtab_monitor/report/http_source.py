"""A collector that answers over HTTP."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

from trimtab_monitor.asking import Asking
from trimtab_monitor.pricing import EnergySettings
from trimtab_monitor.pricing.priced import repriced
from trimtab_monitor.report.build import RunView

_MOST_RUNS = 10_000


class HttpSource:
    """A collector at `url`. It prices energy with its own settings, unless `energy` has some set.

    Raises:
        OSError: it cannot be reached, or does not answer as a collector does.
    """

    def __init__(self, url: str, energy: EnergySettings) -> None:
        self._asking = Asking(url)
        self.where = self._asking.where
        self._energy = energy

    def runs(self, project: str | None = None) -> list[str]:
        """See Source."""
        told = self._asking.get(f"/v1/runs?limit={_MOST_RUNS}")
        if not isinstance(told, list) or not all(isinstance(run, dict) and "run" in run for run in told):
            raise self._asking.stranger("/v1/runs")
        return [run["run"] for run in told if project in (None, run.get("project"))]

    def view(self, run: str) -> RunView:
        """See Source."""
        path = f"/v1/runs/{quote(run, safe='')}"
        ledger = self._asking.get(f"{path}/ledger")
        if self._energy.model_fields_set:
            ledger = _with_factors(ledger, self._energy)
        return RunView(
            run=self._asking.get(path),
            incidents=self._asking.get(f"{path}/incidents"),
            commands=self._asking.get(f"{path}/commands"),
            ledger=ledger,
        )

    def close(self) -> None:
        """See Source."""
        self._asking.close()


def _with_factors(ledger: dict[str, Any], energy: EnergySettings) -> dict[str, Any]:
    """The ledger with other factors; budgets and forecast were worked out with the collector's."""
    told = repriced(ledger, energy)
    if told["settings"] == ledger["settings"]:
        return ledger
    if any(ledger.get(name) for name in ("budget", "forecast")):
        told["notes"].append("budgets and forecast are left out: they rest on the collector's own factors")
    return told
