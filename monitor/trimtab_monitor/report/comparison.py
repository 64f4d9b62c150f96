"""Several runs beside each other, and the sums of those of one phase.

Pretraining, post-training and work at test time are never added up.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from trimtab_monitor.report import figures

Report = Mapping[str, Any]

UNTOLD: Final = "phase not told"


@dataclass(frozen=True, slots=True)
class Figure:
    """A figure of a run that is compared: what it is, its value (none: not known), and its words."""

    title: str
    value: Callable[[Report], float | None]
    told: Callable[[Report], str]

    def beside(self, report: Report, first: Report) -> str:
        """The figure, and in parentheses how far it is from the first run's."""
        value, of_first = self.value(report), self.value(first)
        if value is None or not of_first or value == of_first:
            return self.told(report)
        return f"{self.told(report)} ({value / of_first - 1:+.1%})"


def _joules_a_step(report: Report) -> float | None:
    joules = report["energy"]["joules"]
    return joules / report["steps"] if joules is not None and report["steps"] else None


FIGURES: Final = (
    Figure("steps", lambda run: run["steps"], lambda run: str(run["steps"])),
    Figure("lasted", lambda run: run["duration_s"], lambda run: figures.duration(run["duration_s"])),
    Figure(
        "IT energy",
        lambda run: run["energy"]["joules"],
        lambda run: figures.energy(run["energy"]["joules"]),
    ),
    Figure("a step", _joules_a_step, lambda run: figures.energy(_joules_a_step(run))),
    Figure(
        "emissions",
        lambda run: run["emissions_g"]["location"],
        lambda run: figures.mass(run["emissions_g"]["location"]),
    ),
    Figure("cost", lambda run: run["cost"], lambda run: figures.money(run["cost"], run["currency"])),
    Figure(
        "lost energy",
        lambda run: run["lost_work"]["joules"],
        lambda run: figures.energy(run["lost_work"]["joules"]),
    ),
    Figure("incidents", lambda run: len(run["incidents"]), lambda run: str(len(run["incidents"]))),
)

HEAD: Final = ("run", "phase", "status", *(figure.title for figure in FIGURES))


def comparison_rows(reports: Sequence[Report]) -> list[tuple[str, ...]]:
    """A line a run under `HEAD`, with differences to the first."""
    first = reports[0]
    return [
        (
            report["run"],
            report["phase"] or "",
            report["status"],
            *(figure.beside(report, first) for figure in FIGURES),
        )
        for report in reports
    ]


def sums_by_phase(reports: Sequence[Report]) -> dict[str, dict[str, Any]]:
    """By phase, what its runs come to together.

    A sum is of the runs in which the figure is known, and null if it is in none; `unmeasured` counts the runs
    without energy. Costs in several currencies have no sum.
    """
    phases: dict[str, list[Report]] = {}
    for report in reports:
        phases.setdefault(report["phase"] or UNTOLD, []).append(report)
    return {phase: _sums(each) for phase, each in phases.items()}


def _sums(reports: Sequence[Report]) -> dict[str, Any]:
    currencies = {report["currency"] for report in reports}
    one = currencies.pop() if len(currencies) == 1 else None
    return {
        "runs": len(reports),
        "unmeasured": sum(report["energy"]["joules"] is None for report in reports),
        "steps": sum(report["steps"] for report in reports),
        "joules": known_sum(report["energy"]["joules"] for report in reports),
        "facility_joules": known_sum(report["facility_joules"] for report in reports),
        "emissions_g": {
            by: known_sum(report["emissions_g"][by] for report in reports) for by in ("location", "market")
        },
        "cost": known_sum(report["cost"] for report in reports) if one else None,
        "currency": one,
        "lost_joules": known_sum(report["lost_work"]["joules"] for report in reports),
    }


def known_sum(values: Any) -> float | None:
    """The sum of those that are known, none if none is."""
    known = [value for value in values if value is not None]
    return sum(known) if known else None


SUMS_HEAD: Final = ("phase", "runs", "IT energy", "of the site", "emissions", "cost", "lost energy")


def sums_rows(reports: Sequence[Report]) -> list[tuple[str, ...]]:
    """A line a phase under `SUMS_HEAD`."""
    return [
        (
            phase,
            str(sums["runs"]) + (f" ({sums['unmeasured']} without energy)" if sums["unmeasured"] else ""),
            figures.energy(sums["joules"]),
            figures.energy(sums["facility_joules"]),
            figures.mass(sums["emissions_g"]["location"]),
            figures.money(sums["cost"], sums["currency"] or ""),
            figures.energy(sums["lost_joules"]),
        )
        for phase, sums in sums_by_phase(reports).items()
    ]


def as_json(reports: Sequence[Report]) -> dict[str, Any]:
    """The shape of `trimtab report A B --format json`."""
    return {"runs": list(reports), "by_phase": sums_by_phase(reports)}


def shared_assumptions(reports: Sequence[Report]) -> list[str]:
    """What the figures rest on: what is so of every run, then the rest with the run's id before it."""
    common = [
        told for told in reports[0]["assumptions"] if all(told in each["assumptions"] for each in reports)
    ]
    own = [
        f"{report['run']}: {told}"
        for report in reports
        for told in report["assumptions"]
        if told not in common
    ]
    return [*common, *own]
