"""`/v1/projects/{project}`: what all runs of a project have used together, phase by phase."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from typing import Any, Final

from fastapi import APIRouter

from trimtab_monitor.api.parts import Parts
from trimtab_monitor.api.problems import unknown_project
from trimtab_monitor.budget.limits import QUANTITIES
from trimtab_monitor.budget.spending import Spent, together
from trimtab_monitor.json_out import JsonResponse
from trimtab_monitor.summary import RunSummary

router: Final = APIRouter(prefix="/v1/projects", tags=["projects"], default_response_class=JsonResponse)

UNSPECIFIED: Final = "unspecified"
"""The phase of runs that say none."""

_Spender = tuple[RunSummary, Spent]


@router.get("/{project}")
def one_project(project: str, parts: Parts) -> JsonResponse:
    """Its energy, emissions and cost, of all its runs and by training phase, and its budgets."""
    runs = [run for run in parts.views().summaries() if run.registration.project == project]
    if not runs:
        raise unknown_project(project)
    spent = [(run, parts.accounts.of_run(run)) for run in runs]
    by_phase: dict[str, list[_Spender]] = defaultdict(list)
    for run, its in spent:
        by_phase[run.registration.phase or UNSPECIFIED].append((run, its))
    return JsonResponse(
        {
            "project": project,
            "runs": len(runs),
            "currency": parts.settings.energy.currency,
            "total": _used(spent),
            "phases": {phase: _used(each) for phase, each in sorted(by_phase.items())},
            "budget": {"lines": [line.as_json() for line in parts.accounts.lines_of(project, runs)]},
        }
    )


def _used(spenders: Sequence[_Spender]) -> dict[str, Any]:
    """The sums, and of how many runs no energy is known: it is in none of them."""
    measured = together(spent for _, spent in spenders).measured
    return {
        "runs": len(spenders),
        "runs_without_energy": sum(spent.measured.get("kwh") is None for _, spent in spenders),
        **{name: measured.get(name) for name in QUANTITIES},
        "lost_steps": sum(run.lost_steps for run, _ in spenders),
    }
