"""The lines of energy as people are shown them: of many devices, one for those that are alike."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final

MOST_DEVICES: Final = 12
"""More are folded by what they are and how they were read; JSON has every one."""


@dataclass(frozen=True, slots=True)
class EnergyRow:
    """A line of the table. `joules` is none if nothing was measured, `gap_seconds` device seconds."""

    host: str
    device: str
    component: str
    method: str
    joules: float | None
    gap_seconds: float


def energy_rows(report: Mapping[str, Any]) -> list[EnergyRow]:
    """A line for each device and method or, of more than a dozen devices, for each kind of them."""
    rows = [_row(report, row) for row in report["energy"]["by"]]
    if len({(row["host"], row["device"]) for row in report["energy"]["by"]}) <= MOST_DEVICES:
        return rows
    return list(_folded(rows))


def _row(report: Mapping[str, Any], row: Mapping[str, Any]) -> EnergyRow:
    name = report["devices"].get(row["device"]) or row["device"]
    return EnergyRow(row["host"], name, row["component"], row["method"], row["joules"], row["gap_seconds"])


def _folded(rows: Sequence[EnergyRow]) -> Iterator[EnergyRow]:
    alike: dict[tuple[str, str, str], list[EnergyRow]] = {}
    for row in rows:
        alike.setdefault((row.device, row.component, row.method), []).append(row)
    for (device, component, method), each in alike.items():
        known = [row.joules for row in each if row.joules is not None]
        yield EnergyRow(
            host=_hosts({row.host for row in each}),
            device=f"{len(each)} {device}",
            component=component,
            method=method,
            joules=sum(known) if known else None,
            gap_seconds=sum(row.gap_seconds for row in each),
        )


def _hosts(hosts: set[str]) -> str:
    return next(iter(hosts)) if len(hosts) == 1 else f"{len(hosts)} hosts"
