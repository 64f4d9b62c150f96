"""What Trimtab makes of readings: over the wire, into the collector's ledger, and what that tells."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from trimtab import wire
from trimtab_monitor.ledger import EnergyLedger, Row


@dataclass(frozen=True, slots=True)
class Told:
    """What a tool says that a job used.

    `joules` is its best figure, gaps filled as it does; the truth lies in [`low_j`, `high_j`], if it says so.
    `gap_seconds` is the time that it says it knows nothing of.
    """

    joules: float
    low_j: float | None = None
    high_j: float | None = None
    gap_seconds: float = 0.0
    methods: tuple[str, ...] = ()

    def error(self, truth_j: float) -> float:
        """Return how far it is from the truth, as a share of it."""
        return self.joules / truth_j - 1

    def holds(self, truth_j: float, tolerance: float) -> bool | None:
        """Tell whether its interval, give or take a share of the truth, holds that; None: it has none."""
        if self.low_j is None or self.high_j is None:
            return None
        return self.low_j - tolerance * truth_j <= truth_j <= self.high_j + tolerance * truth_j


class Meter:
    """A run's ledger, fed as the collector feeds it."""

    def __init__(self, boot_id: str, start: float) -> None:
        self.ledger = EnergyLedger()
        self.ledger.open(boot_id, start)
        self._seq = 0

    def take(self, devices: Iterable[wire.Device]) -> None:
        """Send readings over the wire into the ledger."""
        batch = wire.Batch(rank=0, seq=self._seq, devices=tuple(devices))
        self._seq += 1
        for device in wire.decode(wire.encode(batch)).devices:
            self.ledger.add(device)

    def close(self, end: float, components: tuple[str, ...]) -> Told:
        """End the run, and return what it used on devices of these kinds."""
        self.ledger.close(end)
        return _told([row for row in self.ledger.rows() if row.component in components])


def _told(rows: list[Row]) -> Told:
    tallies = [row.tally for row in rows]
    return Told(
        joules=sum(tally.energy_uj + tally.estimated_uj for tally in tallies) / 1e6,
        low_j=sum(tally.low_uj + tally.estimated_low_uj for tally in tallies) / 1e6,
        high_j=sum(tally.high_uj + tally.estimated_high_uj for tally in tallies) / 1e6,
        gap_seconds=sum(tally.gap_us for tally in tallies) / 1e6,
        methods=tuple(sorted({row.method for row in rows})),
    )
