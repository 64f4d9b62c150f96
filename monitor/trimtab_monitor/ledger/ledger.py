"""The energy of a run, folded over the readings of its devices.

Inside all is integer microjoules of IT energy with the method that they are known by; PUE, carbon and price
are applied when read (`trimtab_monitor.pricing.priced`). How readings are cut into batches changes nothing,
and a ledger written with msgspec and read back goes on as if nothing had been.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from copy import deepcopy
from dataclasses import dataclass, field
from typing import Final

from trimtab import wire
from trimtab_monitor.ledger.curve import Bins
from trimtab_monitor.ledger.device_rows import has_parts, held_us, rows_of
from trimtab_monitor.ledger.division import Division
from trimtab_monitor.ledger.lost_work import CAUSES, Cause, LostWork
from trimtab_monitor.ledger.reading import LATEST_S, Counts, is_node_meter, readings
from trimtab_monitor.ledger.rows import Row, Totals
from trimtab_monitor.ledger.scope import Covers, Scope
from trimtab_monitor.ledger.shares import NOT_KNOWN, IdlePower, Shares, shares_of, split
from trimtab_monitor.ledger.stream import Stream
from trimtab_monitor.ledger.tally import Tally
from trimtab_monitor.ledger.units import HOUR_US, MICRO, Piece, micros

TRAIN: Final = "train"
"""The phase of a run that told of none."""


@dataclass(slots=True)
class EnergyLedger:
    """The energy of one run, by device and method. Built empty; everything else by folding.

    `streams` and `divisions` are by device: the first measure the whole of it, the second say what of that is
    the run's own; all sums are of the run's own. `nodes` holds meters of whole nodes, which count only in a
    run that has no part of a node measured.
    """

    streams: dict[str, Stream] = field(default_factory=dict)
    divisions: dict[str, Division] = field(default_factory=dict)
    idle: dict[str, IdlePower] = field(default_factory=dict)
    opened_us: dict[str, int] = field(default_factory=dict)
    closed_us: int | None = None
    covers: Covers = field(default_factory=Covers)
    parts: Scope = field(default_factory=Scope)
    nodes: Scope = field(default_factory=Scope)
    steps_lost: dict[str, int] = field(default_factory=dict)
    phase: str = TRAIN
    phase_us: int = 0

    def open(self, boot_id: str, time: float) -> None:
        """The run began on this host at `time` (Unix seconds), or goes on after an end: count from there."""
        if not _is_time(time):
            return
        time_us = micros(time)
        self.opened_us[boot_id] = min(time_us, self.opened_us.get(boot_id, time_us))
        if self.closed_us is not None and time_us >= self.closed_us:
            self.closed_us = None
        for key, stream in self.streams.items():
            if stream.boot_id == boot_id:
                for piece in stream.open(time_us):
                    self._put(stream, self._own(key, self._division(key), piece, NOT_KNOWN))

    def add(self, device: wire.Device) -> None:
        """Count the readings of one device. Wrong ones never raise: they are left out and counted."""
        if device.component == "host" and device.power_w is None and device.energy_counter is None:
            return
        key = device_key(device.boot_id, device.uuid, device.component)
        stream, division = self._stream(key, device), self._division(key)
        stream.describe(device)
        self._see_cover(stream)
        known = shares_of(device)
        if known:
            self.idle.setdefault(key, IdlePower()).limit_w = device.power_limit_w
        for reading in readings(device, stream.counts):
            shares = known.get(reading.time_us, NOT_KNOWN)
            if reading.has_value:
                self._put(stream, division.read(reading.time_us, shares.held))
            for piece in stream.take(reading):
                self._put(stream, self._own(key, division, piece, shares))

    def hold(self, run: str, by: str, key: str, from_us: int, until_us: int) -> None:
        """Another run of the same collector held a device of this `run`: divide what both used of it.

        Args:
            run: the run that this ledger is of.
            by: the other one.
            key: the device (`device_key`).
            from_us: since when, Unix microseconds.
            until_us: until when; `stretches.OPEN_US` while it goes on. Told again, it replaces what was told.
        """
        pieces = self._division(key).hold(run, by, (from_us, until_us))
        stream = self.streams.get(key)
        if stream is not None:
            self._put(stream, pieces)

    def lose(self, cause: Cause, from_time: float, to_time: float, steps: int = 0) -> None:
        """What was done between two times (Unix seconds) is lost, `steps` of it.

        Of time that was lost already only the steps are counted.
        """
        self.steps_lost[cause] = self.steps_lost.get(cause, 0) + steps
        if _is_time(from_time) and _is_time(to_time) and from_time < to_time:
            for scope in (self.parts, self.nodes):
                scope.lost.claim(micros(from_time), micros(to_time), cause, scope.curve)

    def enter(self, phase: str, time: float) -> None:
        """The run went over to another phase (train, eval, checkpoint) at `time` (Unix seconds)."""
        if not _is_time(time):
            return
        if self.phase != TRAIN and self.phase_us < micros(time):
            for scope in (self.parts, self.nodes):
                scope.phases.claim(self.phase_us, micros(time), self.phase, scope.curve)
        self.phase, self.phase_us = phase, micros(time)

    def close(self, time: float) -> None:
        """The run, or one process of it, ended at `time` (Unix seconds): count up to there, no further."""
        if not _is_time(time):
            return
        time_us = micros(time)
        self.closed_us = max(time_us, self.closed_us or 0)
        for key, stream in self.streams.items():
            for piece in stream.close(time_us):
                self._put(stream, self._own(key, self._division(key), piece, NOT_KNOWN))

    # --- what it says ---

    @property
    def lost_steps(self) -> int:
        """Steps that were thrown away."""
        return sum(self.steps_lost.values())

    @property
    def lost_seconds(self) -> float:
        """How long the lost work took, each moment counted once."""
        return self.parts.lost.total_us / MICRO

    def rows(self) -> list[Row]:
        """Energy by device and method; lives of a device on different boots of its host are joined."""
        return rows_of(self.streams, self.divisions, self.covers)

    def totals(self) -> Totals:
        """The sums, over the rows that are `summed`."""
        total, counts = Tally(), Counts()
        summed = [row for row in self.rows() if row.summed]
        for row in summed:
            total.add(row.tally)
        for stream in self.streams.values():
            counts.add(stream.counts)
        measured = total.measured_us > 0 or total.energy_uj > 0
        return Totals(
            energy_uj=total.energy_uj if measured else None,
            low_uj=total.low_uj,
            high_uj=total.high_uj,
            others_uj=sum(row.others_uj for row in summed),
            gap_us=total.gap_us,
            estimated_uj=total.estimated_uj,
            estimated_low_uj=total.estimated_low_uj,
            estimated_high_uj=total.estimated_high_uj,
            lost_uj=min(self._summed_scope().lost.total_uj, total.energy_uj),
            lost_steps=self.lost_steps,
            lost_seconds=self.lost_seconds,
            counts=counts,
        )

    def lost_work(self) -> list[LostWork]:
        """What was lost by each cause that there was; they add up."""
        claims = self._summed_scope().lost
        measured = any(row.joules is not None for row in self.rows() if row.summed)
        return [
            LostWork(
                cause,
                self.steps_lost.get(cause, 0),
                claims.length_us.get(cause, 0),
                claims.of(cause) if measured else None,
            )
            for cause in CAUSES
            if cause in self.steps_lost
        ]

    def lost_by_hour(self) -> list[tuple[float, int]]:
        """Lost energy by the hour: (its start in Unix seconds, microjoules)."""
        return _hours(self._summed_scope().lost.hours)

    def by_hour(self) -> list[tuple[float, int]]:
        """Energy by the hour, oldest first, at most a year: (its start in Unix seconds, microjoules)."""
        return _hours(self._summed_scope().curve.hours)

    def by_phase(self) -> dict[str, int]:
        """Microjoules by phase of the run, those of the present phase to its end only: train has the rest."""
        claims = self._summed_scope().phases
        told = {phase: claims.of(phase) for phase in sorted(claims.length_us)}
        return {TRAIN: (self.totals().energy_uj or 0) - sum(told.values()), **told}

    def gpu_seconds(self) -> float:
        """Device seconds of GPUs and modules that the run held, measured or not: its part of shared ones."""
        return held_us(self.streams, self.divisions, self.covers) / MICRO

    def counter_checks(self) -> Mapping[str, float]:
        """By device, the energy its counter tells over what its power tells, of the last minute checked."""
        return {
            stream.uuid: stream.check.ratio
            for stream in self.streams.values()
            if stream.check.ratio is not None
        }

    # --- inside ---

    def _stream(self, key: str, device: wire.Device) -> Stream:
        stream = self.streams.get(key)
        if stream is None:
            stream = Stream(device.host, device.boot_id, device.uuid, device.component, device.name)
            stream.edges.begin_us = self.opened_us.get(device.boot_id)
            stream.edges.end_us = self.closed_us
            self.streams[key] = stream
        return stream

    def _division(self, key: str) -> Division:
        division = self.divisions.get(key)
        if division is None:
            division = self.divisions[key] = Division()
        return division

    def _own(self, key: str, division: Division, piece: Piece, shares: Shares) -> Iterable[Piece]:
        """The run's own part of a piece of the whole device's energy."""
        if shares.used is None and shares.held is None:
            return division.add(piece)
        idle = self.idle[key]
        if shares.used is not None:
            idle.see(piece)
        return division.add(piece, *split(piece, shares, idle.watts()))

    def _put(self, stream: Stream, pieces: Iterable[Piece]) -> None:
        for piece in pieces:
            if not self.covers.covered(stream.boot_id, stream.component, piece.method):
                self._scope(stream, piece).add(piece)

    def _scope(self, stream: Stream, piece: Piece) -> Scope:
        return self.nodes if is_node_meter(stream.component, piece.method) else self.parts

    def _see_cover(self, stream: Stream) -> None:
        """A device that turns out to hold the energy of others: take out what was counted of those."""
        before = deepcopy(self.covers) if stream.component in ("module", "package") else self.covers
        if not self.covers.see(stream.boot_id, stream.component, stream.method):
            return
        for key, other in self.streams.items():
            for piece in self.divisions[key].all():
                of = (other.boot_id, other.component, piece.method)
                if self.covers.covered(*of) and not before.covered(*of):
                    self._scope(other, piece).add(piece.negative())

    def _summed_scope(self) -> Scope:
        return self.parts if has_parts(self.streams.values()) else self.nodes


def device_key(boot_id: str, uuid: str, component: str) -> str:
    """What a device is known by: whoever reads it, on whatever rank, in whatever run."""
    return "\x1f".join((boot_id, uuid, component))


def _hours(hours: Bins) -> list[tuple[float, int]]:
    return [
        (hour * HOUR_US / MICRO, energy_uj)
        for hour, energy_uj in zip(hours.bins, hours.energy_uj, strict=True)
    ]


def _is_time(time: float) -> bool:
    return 0 <= time <= LATEST_S
