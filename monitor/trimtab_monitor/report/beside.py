"""What a report tells beside its contract: the doubt, other jobs' share, water, hours, budgets, forecast.

A collector of an older version tells less: what it does not know is null or empty here.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Final

_FIGURES: Final = ("gpu_hours", "water_l", "embodied_g", "marginal_g")

Told = Mapping[str, Any]


def beside(ledger: Told) -> dict[str, Any]:
    """From the body of `GET /v1/runs/{run}/ledger`.

    `interval` holds the true energy, `others_joules` is what other jobs used of the run's devices and is in
    no sum, `lost_by_cause` adds up to the lost work, `cost_parts` have a currency each.
    """
    return {
        "interval": _interval(ledger["energy"]),
        "others_joules": ledger["energy"].get("others_joules", 0.0),
        "lost_by_cause": list(ledger["lost_work"].get("by_cause") or ()),
        **{name: ledger.get(name) for name in _FIGURES},
        "cost_parts": ledger.get("cost_parts") or {},
        "sci": ledger.get("sci"),
        "budget": (ledger.get("budget") or {}).get("lines") or [],
        "forecast": ledger.get("forecast"),
    }


def _interval(energy: Told) -> dict[str, float | None]:
    """The least and the most that the measured energy may be; null if nothing was measured."""
    return {name: energy.get(name, energy["joules"]) for name in ("low_joules", "high_joules")}
