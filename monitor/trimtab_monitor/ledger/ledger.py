"""The energy of a run, folded over the readings of its devices.

Inside all is integer microjoules of IT energy with the method that they are known by; PUE, carbon and price
are applied when read (`trimtab_monitor.ledger.pricing`). How readings are cut into batches changes nothing,
and a ledger written with msgspec and read back goes on as if nothing had been.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from trimtab import wire
from trimtab_monitor.ledger.curve import EnergyCurve
from trimtab_monitor.ledger.lost_work import LostIntervals
from trimtab_monitor.ledger.reading import LATEST_S, Counts, is_node_meter, readings
from trimtab_monitor.ledger.stream import Stream, Tally
from trimtab_monitor.ledger.units import HOUR_US, MICRO, MINUTE_US, Piece, micros


@dataclass(frozen=True, slots=True)
class Row:
    """Energy of one device by one method.

    `summed` is False for a meter of a whole node where the node's parts are measured too.
    """

    host: str
    device: str
    name: str
    component: str
    method: str
    summed: bool
    tally: Tally

    @property
    def joules(self) -> float | None:
        """Measured energy; None if nothing was ever measured, which is not zero."""
        if self.tally.measured_us == 0 and self.tally.energy_uj == 0:
            return None
        return self.tally.energy_uj / MICRO

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
            "gap_seconds": self.gap_seconds,
        }


@dataclass(frozen=True, slots=True)
class Totals:
    """The sums over a run. `energy_uj` is None if nothing was measured. `lost_uj` is a part of it."""

    energy_uj: int | None
    gap_us: int
    estimated_uj: int
    lost_uj: int
    lost_steps: int
    lost_seconds: float
    counts: Counts

    @property
    def joules(self) -> float | None:
        """Measured IT energy, None if nothing was measured."""
        return None if self.energy_uj is None else self.energy_uj / MICRO

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


@dataclass(slots=True)
class Scope:
    """Energy over time, and what of it is lost, of devices that may be added up."""

    curve: EnergyCurve = field(default_factory=EnergyCurve)
    lost: LostIntervals = field(default_factory=LostIntervals)

    def add(self, piece: Piece) -> None:
        """Add a piece of energy."""
        self.curve.add(piece)
        self.lost.add(piece)

    def lose(self, from_us: int, to_us: int) -> None:
        """The energy of this interval is lost."""
        self.lost.lose(from_us, to_us, self.curve)


@dataclass(slots=True)
class EnergyLedger:
    """The energy of one run, by device and method. Built empty; everything else by folding.

    `nodes` holds meters of whole nodes, which count only in a run that has no part of a node measured.
    """

    streams: dict[str, Stream] = field(default_factory=dict)
    opened_us: dict[str, int] = field(default_factory=dict)
    parts: Scope = field(default_factory=Scope)
    nodes: Scope = field(default_factory=Scope)
    lost_steps: int = 0
    lost_seconds: float = 0.0

    def open(self, boot_id: str, time: float) -> None:
        """The run began on this host at `time` (Unix seconds): hold the first power reading back to there."""
        if _is_time(time):
            self.opened_us.setdefault(boot_id, micros(time))

    def add(self, device: wire.Device) -> None:
        """Count the readings of one device. Wrong ones never raise: they are left out and counted."""
        if device.component == "host" and device.power_w is None and device.energy_counter is None:
            return
        stream = self._stream(device)
        stream.describe(device)
        for reading in readings(device, stream.counts):
            self._count(stream, stream.take(reading))

    def lose(self, from_time: float, to_time: float, steps: int, seconds: float) -> None:
        """What was done between two times (Unix seconds) is thrown away.

        Args:
            from_time: when the step after the one rolled back to began.
            to_time: when the job went back.
            steps: how many steps that is.
            seconds: how long they took.
        """
        self.lost_steps += steps
        self.lost_seconds += seconds
        if not (_is_time(from_time) and _is_time(to_time)) or from_time >= to_time:
            return
        for scope in (self.parts, self.nodes):
            scope.lose(micros(from_time), micros(to_time))

    def close(self, time: float) -> None:
        """The run ended at `time` (Unix seconds): hold the last power readings up to there."""
        if not _is_time(time):
            return
        for stream in self.streams.values():
            self._count(stream, stream.close(micros(time)))

    # --- what it says ---

    def rows(self) -> list[Row]:
        """Energy by device and method; lives of a device on different boots of its host are joined."""
        tallies: dict[tuple[str, str, str, str], Tally] = {}
        names: dict[str, str] = {}
        for stream in self.streams.values():
            names[stream.uuid] = stream.name
            for method, tally in stream.told().items():
                key = (stream.host, stream.uuid, stream.component, method)
                tallies.setdefault(key, Tally()).add(tally)
        return [
            Row(host, uuid, names[uuid], component, method, self._is_summed(component, method), tally)
            for (host, uuid, component, method), tally in sorted(tallies.items(), key=_row_key)
        ]

    def totals(self) -> Totals:
        """The sums, over the rows that are `summed`."""
        total, counts = Tally(), Counts()
        for row in self.rows():
            if row.summed:
                total.add(row.tally)
        for stream in self.streams.values():
            counts.add(stream.counts)
        measured = total.measured_us > 0 or total.energy_uj > 0
        return Totals(
            energy_uj=total.energy_uj if measured else None,
            gap_us=total.gap_us,
            estimated_uj=total.estimated_uj,
            lost_uj=min(self._summed_scope().lost.energy.total_uj, total.energy_uj),
            lost_steps=self.lost_steps,
            lost_seconds=self.lost_seconds,
            counts=counts,
        )

    def by_hour(self) -> list[tuple[float, int]]:
        """Energy by the hour, oldest first, at most a year: (its start in Unix seconds, microjoules)."""
        hours = self._summed_scope().curve.hours
        return [
            (hour * HOUR_US / MICRO, energy_uj)
            for hour, energy_uj in zip(hours.bins, hours.energy_uj, strict=True)
        ]

    def counter_checks(self) -> Mapping[str, float]:
        """By device, the energy its counter tells over what its power tells, of a minute or more."""
        return {
            stream.uuid: stream.checked_counter_uj / stream.checked_power_uj
            for stream in self.streams.values()
            if stream.checked_us >= MINUTE_US and stream.checked_power_uj > 0
        }

    # --- inside ---

    def _stream(self, device: wire.Device) -> Stream:
        key = "\x1f".join((device.boot_id, device.uuid, device.component))
        stream = self.streams.get(key)
        if stream is None:
            opened_us = self.opened_us.get(device.boot_id)
            stream = Stream(
                device.host, device.boot_id, device.uuid, device.component, device.name, opened_us=opened_us
            )
            self.streams[key] = stream
        return stream

    def _count(self, stream: Stream, pieces: Iterable[Piece]) -> None:
        for piece in pieces:
            (self.nodes if is_node_meter(stream.component, piece.method) else self.parts).add(piece)

    def _has_parts(self) -> bool:
        return any(
            not is_node_meter(stream.component, method)
            for stream in self.streams.values()
            for method in stream.tallies
        )

    def _is_summed(self, component: str, method: str) -> bool:
        return not (is_node_meter(component, method) and self._has_parts())

    def _summed_scope(self) -> Scope:
        return self.parts if self._has_parts() else self.nodes


def _is_time(time: float) -> bool:
    return 0 <= time <= LATEST_S


def _row_key(item: tuple[tuple[str, str, str, str], Tally]) -> tuple[str, str, str, str]:
    return item[0]
