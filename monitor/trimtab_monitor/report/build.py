"""The report on a run, put together from what the collector tells of it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

from trimtab_monitor.report.beside import beside
from trimtab_monitor.report.forecast_lines import forecast_notes

_ROW: Final = ("host", "device", "component", "method", "joules", "gap_seconds")


@dataclass(frozen=True, slots=True)
class RunView:
    """What there is to know of a run, in the shapes in which the API tells it.

    `run` is that of `GET /v1/runs/{run}`, `ledger` that of `.../ledger`, and so on: JSON, non-finite numbers
    as words.
    """

    run: Mapping[str, Any]
    incidents: Sequence[Mapping[str, Any]]
    commands: Sequence[Mapping[str, Any]]
    ledger: Mapping[str, Any]


def build_report(view: RunView) -> dict[str, Any]:
    """The report: the keys of `trimtab report --format json`.

    Energy is IT energy in joules, emissions are grams of CO2e, `cost` is in `currency`; null where it is not
    known. `assumptions` says what to know before quoting a figure.
    """
    ledger = view.ledger
    return {
        "run": view.run["run"],
        "project": view.run.get("project"),
        "name": view.run.get("name"),
        "phase": view.run.get("phase"),
        "origin": view.run.get("origin") or {},
        "status": view.run["status"],
        "steps": view.run["last_step"],
        "duration_s": _duration_s(view.run),
        "energy": _energy(ledger["energy"]),
        "emissions_g": ledger["emissions_g"],
        "cost": ledger["cost"],
        "currency": ledger["currency"],
        "lost_work": {name: ledger["lost_work"][name] for name in ("steps", "seconds", "joules")},
        "incidents": list(view.incidents),
        "rollbacks": [_rollback(command) for command in view.commands if _is_done(command)],
        "devices": ledger["energy"]["devices"],
        "gap_seconds": ledger["energy"]["gap_seconds"],
        "facility_joules": ledger["facility_joules"],
        "factors": ledger["factors"],
        **beside(ledger),
        "assumptions": [*_unfinished(view), *_priced_by(ledger["factors"]), *ledger["notes"]],
    }


def _energy(energy: Mapping[str, Any]) -> dict[str, Any]:
    rows = [{name: row[name] for name in _ROW} for row in energy["by"]]
    return {"joules": energy["joules"], "by": rows}


def _unfinished(view: RunView) -> Iterator[str]:
    if view.run["status"] not in ("finished", "failed"):
        yield f"the run is {view.run['status']}: these are the figures so far"
        yield from forecast_notes(view.ledger.get("forecast"))


def _priced_by(factors: Mapping[str, Any]) -> Iterator[str]:
    """Where the intensity of each kilowatt-hour is from, and then who is to be named for it."""
    parts = factors["location"].get("priced_by") or ()
    for part in parts:
        where = "".join(f" {part[name]}" for name in ("place", "year") if part.get(name))
        basis = f": {part['basis']}" if part.get("basis") else ""
        yield f"{part['kwh']:.4g} kWh priced by {part['source']}{where}{basis}"
    yield from dict.fromkeys(
        f"intensities: {part['attribution']}" for part in parts if part.get("attribution")
    )


def _duration_s(run: Mapping[str, Any]) -> float | None:
    """From the run's start, or where it told of none from when it was first heard of, to its last sample."""
    if run["last_sample"] is None:
        return None
    began = run["created"] if run.get("began") is None else run["began"]
    return max(0.0, float(run["last_sample"]) - float(began))


def _is_done(command: Mapping[str, Any]) -> bool:
    return (command["kind"], command["state"]) == ("rollback", "applied")


def _rollback(command: Mapping[str, Any]) -> dict[str, Any]:
    told = {name: command[name] for name in ("to_step", "lr_factor", "incident", "reason", "time")}
    return {"command": command["id"], **told}
