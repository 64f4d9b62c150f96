"""`/v1/projects/{project}`: what all runs of a project have used together, phase by phase."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import Any, Final

from fastapi import APIRouter

from trimtab_monitor.api.parts import Collector, Parts
from trimtab_monitor.api.problems import unknown_project
from trimtab_monitor.budget.limits import QUANTITIES
from trimtab_monitor.json_out import JsonResponse
from trimtab_monitor.summary import RunSummary

router: Final = APIRouter(prefix="/v1/projects", tags=["projects"], default_response_class=JsonResponse)

UNSPECIFIED: Final = "unspecified"
"""The phase of runs that say none."""


@router.get("/{project}")
def one_project(project: str, parts: Parts) -> JsonResponse:
    """Its energy, emissions and cost, of all its runs and by training phase, and its budgets."""
    runs = [run for run in parts.views().summaries() if run.registration.project == project]
    if not runs:
        raise unknown_project(project)
    by_phase: dict[str, list[RunSummary]] = defaultdict(list)
    for run in runs:
        by_phase[run.registration.phase or UNSPECIFIED].append(run)
    return JsonResponse(
        {
            "project": project,
            "runs": len(runs),
            "currency": parts.settings.energy.currency,
            "total": _used(runs, parts),
            "phases": {phase: _used(each, parts) for phase, each in sorted(by_phase.items())},
            "budget": {"lines": [line.as_json() for line in parts.accounts.lines_of(project, runs)]},
        }
    )


def _used(runs: Sequence[RunSummary], parts: Collector) -> dict[str, Any]:
    spent = parts.accounts.of_runs(runs)
    measured: dict[str, float | None] = {name: spent.measured.get(name) for name in QUANTITIES}
    return {"runs": len(runs), **measured, "lost_steps": sum(run.lost_steps for run in runs)}
