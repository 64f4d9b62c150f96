"""The body of `GET /v1/runs/{run}/ledger`: a run's energy, and what its factors make of it when read."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from trimtab_monitor.ledger.ledger import EnergyLedger
from trimtab_monitor.ledger.notes import energy_notes
from trimtab_monitor.ledger.units import MICRO
from trimtab_monitor.pricing.bill import Bill
from trimtab_monitor.pricing.factor_notes import factor_notes
from trimtab_monitor.pricing.factors import factors
from trimtab_monitor.pricing.gpu_hours import gpu_hours, lost_gpu_hours
from trimtab_monitor.pricing.intensity.sources import Intensities, LiveSource, NoIntensities
from trimtab_monitor.pricing.intensity.values import hour_of
from trimtab_monitor.pricing.repricing import over, still_there, told_settings
from trimtab_monitor.pricing.settings import EnergySettings
from trimtab_monitor.pricing.usage import Usage

NOBODY_ASKED = NoIntensities()


@dataclass(frozen=True, slots=True)
class Work:
    """What the run got done, for figures per unit of it: its last step, and the tokens up to there."""

    steps: int
    tokens: int | None = None


def priced(
    ledger: EnergyLedger,
    settings: EnergySettings,
    intensities: Intensities = NOBODY_ASKED,
    work: Work | None = None,
) -> dict[str, Any]:
    """A run's energy, carbon, water and cost, and the factors used."""
    measured = _measured(ledger)
    if work is not None:
        measured["work"] = asdict(work)
    live = intensities.sources([hour_of(each["time"]) for each in measured["energy"]["by_hour"]])
    return _told(measured, settings, live)


def repriced(told: Mapping[str, Any], settings: EnergySettings) -> dict[str, Any]:
    """What `priced` told, with other settings over its own; energy stays as it was measured."""
    live = [LiveSource.told(each) for each in told["factors"].get("live", ())]
    its = told.get("settings", {})
    return _told(told, over(its, settings), still_there(live, its, settings))


def _told(
    measured: Mapping[str, Any], settings: EnergySettings, live: Sequence[LiveSource]
) -> dict[str, Any]:
    energy, lost, work = measured["energy"], measured["lost_work"], measured.get("work")
    bill = Bill.of(Usage.told(energy), settings, live)
    lost_bill = Bill.of(Usage.told(lost), settings, live)
    return {
        "energy": energy,
        **bill.as_json(),
        "sci": _sci(bill, work),
        "lost_work": {**lost, **lost_bill.as_json()},
        "work": work,
        "factors": factors(bill, live),
        "settings": told_settings(settings),
        "notes": [*energy["notes"], *factor_notes(bill, live)],
    }


def _measured(ledger: EnergyLedger) -> dict[str, Any]:
    totals, rows = ledger.totals(), ledger.rows()
    return {
        "energy": {
            "joules": totals.joules,
            "gap_seconds": totals.gap_seconds,
            "estimated_joules": totals.estimated_joules,
            "low_joules": totals.low_joules,
            "high_joules": totals.high_joules,
            "others_joules": totals.others_joules,
            "gpu_hours": gpu_hours(ledger),
            "by": [row.as_json() for row in rows if row.summed],
            "not_summed": [row.as_json() for row in rows if not row.summed],
            "by_hour": _by_hour(ledger.by_hour()),
            "by_phase": {phase: energy_uj / MICRO for phase, energy_uj in ledger.by_phase().items()},
            "devices": {row.device: row.name for row in rows},
            "readings": asdict(totals.counts),
            "counter_checks": dict(ledger.counter_checks()),
            "notes": list(energy_notes(ledger, totals)),
        },
        "lost_work": {
            "steps": totals.lost_steps,
            "seconds": totals.lost_seconds,
            "joules": totals.lost_joules,
            "by_hour": _by_hour(ledger.lost_by_hour()),
            "gpu_hours": lost_gpu_hours(ledger),
            "by_cause": [each.as_json() for each in ledger.lost_work()],
        },
    }


def _by_hour(hours: Iterable[tuple[float, int]]) -> list[dict[str, float]]:
    return [{"time": time, "joules": energy_uj / MICRO} for time, energy_uj in hours]


def _sci(bill: Bill, work: Mapping[str, Any] | None) -> dict[str, float | None] | None:
    """(E x I + M) per R of the SCI; by average intensity, never by contract. None unless both are known."""
    if bill.location_g is None or bill.embodied_g is None:
        return None
    grams = bill.location_g + bill.embodied_g
    steps, tokens = (None, None) if work is None else (work["steps"], work["tokens"])
    return {
        "g_per_run": grams,
        "g_per_step": grams / steps if steps else None,
        "g_per_token": grams / tokens if tokens else None,
    }
