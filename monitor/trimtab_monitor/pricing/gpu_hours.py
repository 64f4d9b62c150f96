"""For how long accelerators were held: what a cloud bills, and what their making is spread over."""

from __future__ import annotations

from typing import Final

from trimtab_monitor.ledger.ledger import EnergyLedger
from trimtab_monitor.ledger.units import MICRO

_ACCELERATORS: Final = frozenset({"gpu", "module"})
_SECONDS_PER_HOUR: Final = 3_600


def gpu_hours(ledger: EnergyLedger) -> float | None:
    """The hours of all accelerators; None if none was ever seen, which does not mean that there was none."""
    return ledger.gpu_seconds() / _SECONDS_PER_HOUR or None


def lost_gpu_hours(ledger: EnergyLedger) -> float | None:
    """The hours of them that went into lost work: each for as long as that took, of shared ones a part.

    Which part was held just then is not known: that of the whole run is taken.
    """
    held = gpu_hours(ledger)
    if held is None:
        return None
    rows = [row for row in ledger.rows() if row.summed and row.component in _ACCELERATORS]
    devices = {(row.host, row.device) for row in rows}
    read_s = sum(row.tally.measured_us + row.tally.gap_us for row in rows) / MICRO
    part = min(1.0, held * _SECONDS_PER_HOUR / read_s) if read_s else 1.0
    return min(held, part * len(devices) * ledger.lost_seconds / _SECONDS_PER_HOUR)
