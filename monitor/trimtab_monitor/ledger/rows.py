"""What the ledger tells: a row a device and method, and their sums."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Any

from trimtab_monitor.ledger.reading import Counts
from trimtab_monitor.ledger.tally import Tally
from trimtab_monitor.ledger.units import MICRO


@dataclass(frozen=True, slots=True)
class Row:
    """Energy of one device by one method: the run's own.

    `summed` is False where another row covers it: a meter of a whole node whose parts are measured too, parts
    of a module that is measured as one. `others_uj` is what other jobs used of the device by then; a device
    that is `shared` is divided by estimate, and [`low_joules`, `high_joules`] holds the measurement's
    doubt, not that of the division.
    """

    host: str
    device: str
    name: str
    component: str
    method: str
    summed: bool
    tally: Tally
    others_uj: int = 0
    shared: bool = False

    @property
    def joules(self) -> float | None:
        """Measured energy; None if nothing was ever measured, which is not zero."""
        if not self._is_measured():
            return None
        return self.tally.energy_uj / MICRO

    @property
    def low_joules(self) -> float | None:
        """The least that the truth may be; None if nothing was ever measured."""
        return self.tally.low_uj / MICRO if self._is_measured() else None

    @property
    def high_joules(self) -> float | None:
        """The most that the truth may be; None if nothing was ever measured."""
        return self.tally.high_uj / MICRO if self._is_measured() else None

    @property
    def others_joules(self) -> float:
        """What other jobs used of the device."""
        return self.others_uj / MICRO

    @property
    def gap_seconds(self) -> float:
        """Device seconds whose energy is not known."""
        return self.tally.gap_us / MICRO

    def as_json(self) -> dict[str, Any]:
        """The shape in which the API and the report tell it."""
        return {
            "host": self.host,
            "device": self.device,
            "component": self.component,
            "method": self.method,
            "joules": self.joules,
            "low_joules": self.low_joules,
            "high_joules": self.high_joules,
            "gap_seconds": self.gap_seconds,
            "shared": self.shared,
            "others_joules": self.others_joules,
        }

    def _is_measured(self) -> bool:
        return self.tally.measured_us > 0 or self.tally.energy_uj != 0


@dataclass(frozen=True, slots=True)
class Totals:
    """The sums over a run. `energy_uj` is None if nothing was measured. `lost_uj` is a part of it."""

    energy_uj: int | None
    low_uj: int
    high_uj: int
    others_uj: int
    gap_us: int
    estimated_uj: int
    estimated_low_uj: int
    estimated_high_uj: int
    lost_uj: int
    lost_steps: int
    lost_seconds: float
    counts: Counts

    @property
    def joules(self) -> float | None:
        """Measured IT energy, None if nothing was measured."""
        return None if self.energy_uj is None else self.energy_uj / MICRO

    @property
    def low_joules(self) -> float | None:
        """The least that the truth may be, None if nothing was measured."""
        return None if self.energy_uj is None else self.low_uj / MICRO

    @property
    def high_joules(self) -> float | None:
        """The most that the truth may be, None if nothing was measured."""
        return None if self.energy_uj is None else self.high_uj / MICRO

    @property
    def others_joules(self) -> float:
        """What other jobs used of the run's devices; not in `joules`."""
        return self.others_uj / MICRO

    @property
    def lost_joules(self) -> float | None:
        """Measured IT energy of work that was thrown away, None if nothing was measured."""
        return None if self.energy_uj is None else self.lost_uj / MICRO

    @property
    def gap_seconds(self) -> float:
        """Device seconds whose energy is not known."""
        return self.gap_us / MICRO

    @property
    def estimated_joules(self) -> float:
        """What the gaps may have used; not in `joules`."""
        return self.estimated_uj / MICRO


def joined(rows: Iterable[Row]) -> list[Row]:
    """In order, those of one device and method made one: it may have lived on several boots of its host."""
    by_device: dict[tuple[str, str, str, str, bool], Row] = {}
    for row in rows:
        key = (row.host, row.device, row.component, row.method, row.summed)
        before = by_device.get(key)
        by_device[key] = row if before is None else _joined(before, row)
    return [by_device[key] for key in sorted(by_device)]


def _joined(before: Row, row: Row) -> Row:
    tally = Tally()
    tally.add(before.tally)
    tally.add(row.tally)
    others_uj = before.others_uj + row.others_uj
    return replace(row, tally=tally, others_uj=others_uj, shared=before.shared or row.shared)


def own_part(whole: Tally, others_uj: int) -> Tally:
    """What is left of a device's tally without what others used of it; time stays."""
    if not others_uj:
        return whole
    own_uj = whole.energy_uj - others_uj

    def share(uj: int) -> int:
        return uj * own_uj // whole.energy_uj if whole.energy_uj else uj

    return Tally(
        energy_uj=own_uj,
        low_uj=share(whole.low_uj),
        high_uj=share(whole.high_uj),
        measured_us=whole.measured_us,
        gap_us=whole.gap_us,
        estimated_uj=share(whole.estimated_uj),
        estimated_low_uj=share(whole.estimated_low_uj),
        estimated_high_uj=share(whole.estimated_high_uj),
    )
