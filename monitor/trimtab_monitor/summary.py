"""What is told of a run at a glance: in lists, on `/metrics`, in `GET /v1/runs/{run}`."""

from __future__ import annotations

from typing import Any, Final

import msgspec

from trimtab_monitor.budget.verdict import Told
from trimtab_monitor.entries import Registration
from trimtab_monitor.liveness import Status


class EnergyLine(msgspec.Struct, frozen=True):
    """IT energy of one component by one method; `joules` is none if nothing was measured.

    `gap_seconds` are device seconds of which nothing is known, and may have used `estimated_joules`. Other
    jobs used `others_joules` of these devices. Lines that are not `summed` cover energy that others cover
    too.
    """

    component: str
    method: str
    joules: float | None
    gap_seconds: float
    summed: bool
    estimated_joules: float = 0.0
    others_joules: float = 0.0


class Meters(msgspec.Struct, frozen=True):
    """How a run's energy counters did: how often one did not simply go on, by kind.

    `lowest_check` and `highest_check` are of the devices whose counter and power disagree most: energy by the
    one over energy by the other. None where nothing is known.
    """

    counter_resets: dict[str, int] = {}
    lowest_check: float | None = None
    highest_check: float | None = None


class RunSummary(msgspec.Struct, frozen=True, kw_only=True):
    """One run as of the last commit. Times are Unix seconds.

    `began` (the job's start, none if it did not tell) and `last_sample` are by the job's clock, `created` and
    `heard` by the collector's. `latest` holds the last value of each metric on the lowest rank,
    `metrics_left_out` the most metrics of one row that are not among them for want of room, `power_w` watts
    by component. `budgets` is what was told of each budget that it counts to.
    """

    run: str
    registration: Registration
    mode: str
    status: Status
    reason: str
    created: float
    heard: float
    attempt: int
    last_step: int
    last_sample: float | None
    latest: dict[str, float]
    incidents_open: dict[str, int]
    incidents_total: dict[str, int]
    power_w: dict[str, float]
    energy: list[EnergyLine]
    lost_steps: int
    lost_seconds: float
    rollbacks: int
    samples_dropped: int
    hook_errors: int
    fold_errors: int
    unreadable_events: int = 0
    metrics_left_out: int = 0
    budgets: dict[str, Told] = {}
    lost_joules: float | None = None
    meters: Meters = Meters()
    began: float | None = None

    @property
    def joules(self) -> float | None:
        """IT energy of the run so far, none if nothing was measured."""
        known = [line.joules for line in self.energy if line.summed and line.joules is not None]
        return sum(known) if known else None

    def as_json(self) -> dict[str, Any]:
        """The shape in which the API tells it."""
        out: dict[str, Any] = {"run": self.run, **_told(self.registration)}
        for name in self.__struct_fields__:
            if name not in _TOLD_OTHERWISE:
                out[name] = getattr(self, name)
        out["metrics"] = sorted(self.latest)
        out["latest"] = self.latest
        out["incidents_open"] = sum(self.incidents_open.values())
        out["incidents_open_by_severity"] = self.incidents_open
        out["ledger"] = self._totals()
        return out

    def _totals(self) -> dict[str, Any]:
        return {
            "joules": self.joules,
            "gap_seconds": sum(line.gap_seconds for line in self.energy if line.summed),
            "lost_steps": self.lost_steps,
            "lost_seconds": self.lost_seconds,
            "lost_joules": self.lost_joules,
        }


_TOLD_OTHERWISE: Final = frozenset(
    ("run", "registration", "energy", "lost_joules", "meters", "incidents_open", "latest")
)


def _told(registration: Registration) -> dict[str, Any]:
    return {name: getattr(registration, name) for name in registration.__struct_fields__}
