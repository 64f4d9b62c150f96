"""A run's energy at a glance: made at each commit, so that a thousand devices may not make it dear."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from trimtab_monitor.ledger.ledger import EnergyLedger
from trimtab_monitor.ledger.rows import Row
from trimtab_monitor.ledger.units import MICRO
from trimtab_monitor.summary import EnergyLine, Meters

_KINDS: Final = {
    "wrap": "wraps",
    "reset": "resets",
    "ambiguous_wrap": "ambiguous_wraps",
    "doubtful_reset": "doubtful_resets",
}


def energy_lines(ledger: EnergyLedger) -> list[EnergyLine]:
    """The ledger's rows, summed over devices."""
    alike: dict[tuple[str, str, bool], list[Row]] = {}
    for row in ledger.rows():
        alike.setdefault((row.component, row.method, row.summed), []).append(row)
    return [_line(*key, rows) for key, rows in alike.items()]


def lost_joules(ledger: EnergyLedger, lines: Sequence[EnergyLine]) -> float | None:
    """What of the energy went into work that is lost, none if nothing was measured."""
    if not any(line.joules is not None for line in lines if line.summed):
        return None
    return sum(energy_uj for _, energy_uj in ledger.lost_by_hour()) / MICRO


def meters(ledger: EnergyLedger) -> Meters:
    """How its counters did."""
    counts = [stream.counts for stream in ledger.streams.values()]
    resets = {kind: sum(getattr(each, name) for each in counts) for kind, name in _KINDS.items()}
    checks = ledger.counter_checks().values()
    return Meters(
        counter_resets={kind: count for kind, count in resets.items() if count},
        lowest_check=min(checks, default=None),
        highest_check=max(checks, default=None),
    )


def _line(component: str, method: str, summed: bool, rows: list[Row]) -> EnergyLine:
    known = [row.joules for row in rows if row.joules is not None]
    return EnergyLine(
        component,
        method,
        sum(known) if known else None,
        sum(row.gap_seconds for row in rows),
        summed,
        sum(row.tally.estimated_uj for row in rows) / MICRO,
        sum(row.others_joules for row in rows),
    )
