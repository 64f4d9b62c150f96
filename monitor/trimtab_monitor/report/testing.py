"""A run's facts in few words, for tests of whatever tells them."""

from __future__ import annotations

from typing import Any

from trimtab_monitor.json_out import to_plain
from trimtab_monitor.ledger import EnergyLedger
from trimtab_monitor.pricing import EnergySettings, priced
from trimtab_monitor.pricing.intensity.sources import Intensities
from trimtab_monitor.pricing.priced import NOBODY_ASKED
from trimtab_monitor.report.build import RunView


def run_view(
    ledger: EnergyLedger,
    energy: EnergySettings | None = None,
    intensities: Intensities = NOBODY_ASKED,
    **given: Any,
) -> RunView:
    """A run of 300 steps in ten minutes with one incident and one rollback; `given` replaces fields."""
    run = {
        "run": "gpt-1",
        "project": "gpt",
        "name": None,
        "phase": "pretraining",
        "status": "finished",
        "last_step": 300,
        "created": 1_000.0,
        "last_sample": 1_600.0,
    }
    return RunView(
        run={**run, **given},
        incidents=[_INCIDENT],
        commands=[_rollback("gpt-1.c1", "applied"), _rollback("gpt-1.c2", "refused")],
        ledger=to_plain(priced(ledger, energy or EnergySettings(), intensities)),
    )


_INCIDENT = {
    "id": "gpt-1.1",
    "kind": "loss_spike",
    "severity": "critical",
    "metric": "loss",
    "start_step": 120,
    "detected_step": 121,
    "peak_step": 123,
    "end_step": None,
    "state": "open",
    "summary": "loss 9.1 | expected [2.3]",
    "evidence": {"value": "NaN"},
}


def _rollback(id_: str, state: str) -> dict[str, Any]:
    return {
        "id": id_,
        "kind": "rollback",
        "attempt": 0,
        "to_step": 100,
        "lr_factor": 0.5,
        "reason": "loss spike at 120",
        "incident": "gpt-1.1",
        "state": state,
        "time": 1_300.0,
    }
