"""Reports as lines of a table, to be gathered over many runs."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from typing import Any

from trimtab_monitor.report import figures


def as_csv(reports: Sequence[Mapping[str, Any]]) -> str:
    """A header and a line a run; an empty field is not known."""
    lines = [_line(report) for report in reports]
    text = io.StringIO()
    writer = csv.DictWriter(text, fieldnames=list(lines[0]), lineterminator="\n")
    writer.writeheader()
    writer.writerows(lines)
    return text.getvalue().rstrip("\n")


def _line(report: Mapping[str, Any]) -> dict[str, Any]:
    lost = report["lost_work"]
    return {
        "run": report["run"],
        "project": report["project"],
        "phase": report["phase"],
        "status": report["status"],
        "steps": report["steps"],
        "duration_s": report["duration_s"],
        "energy_joules": report["energy"]["joules"],
        "energy_low_joules": report["interval"]["low_joules"],
        "energy_high_joules": report["interval"]["high_joules"],
        "others_joules": report["others_joules"],
        "energy_gap_seconds": report["gap_seconds"],
        "facility_joules": report["facility_joules"],
        "pue": report["factors"]["pue"]["value"],
        "intensity_g_per_kwh": figures.intensity(report["factors"]),
        "emissions_location_g": report["emissions_g"]["location"],
        "emissions_market_g": report["emissions_g"]["market"],
        "emissions_marginal_g": report["marginal_g"],
        "embodied_g": report["embodied_g"],
        "water_l": report["water_l"],
        "gpu_hours": report["gpu_hours"],
        "cost": report["cost"],
        "currency": report["currency"],
        "lost_steps": lost["steps"],
        "lost_seconds": lost["seconds"],
        "lost_joules": lost["joules"],
        "incidents": len(report["incidents"]),
        "rollbacks": len(report["rollbacks"]),
    }
