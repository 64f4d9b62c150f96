"""The energy of one device, reading by reading.

Between two readings, in this order: the counter, if both have one; power, averaged or integrated; else a gap,
whose seconds are told and whose energy is only estimated, apart.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from trimtab import wire
from trimtab_monitor.ledger.counters import Delta, counter_delta, to_counts, to_microjoules, unit_uj
from trimtab_monitor.ledger.power import (
    MAX_INTERVAL_US,
    PLAUSIBLE_W,
    gap_limit_us,
    mean_power_w,
    remember_period,
)
from trimtab_monitor.ledger.reading import Counts, Reading, power_method, uses_counter
from trimtab_monitor.ledger.spans import Span, gaps_us, is_covered, span_before, start_span
from trimtab_monitor.ledger.units import SECOND_US, Piece


@dataclass(slots=True)
class Tally:
    """What one method has told of a device.

    The true energy of the measured time lies in [`low_uj`, `high_uj`]. That of the time in `gap_us` is only
    estimated, and lies in [`estimated_low_uj`, `estimated_high_uj`]: no part of the others.
    """

    energy_uj: int = 0
    low_uj: int = 0
    high_uj: int = 0
    measured_us: int = 0
    gap_us: int = 0
    estimated_uj: int = 0
    estimated_low_uj: int = 0
    estimated_high_uj: int = 0

    def add(self, other: Tally) -> None:
        """Add another tally to this one."""
        self.energy_uj += other.energy_uj
        self.low_uj += other.low_uj
        self.high_uj += other.high_uj
        self.measured_us += other.measured_us
        self.gap_us += other.gap_us
        self.estimated_uj += other.estimated_uj
        self.estimated_low_uj += other.estimated_low_uj
        self.estimated_high_uj += other.estimated_high_uj


@dataclass(slots=True)
class Stream:
    """One device's part of the ledger. `opened_us` is when its run began on that host, if known.

    `method` is how its energy is known at present, `power_method` how its power readings integrate.
    `checked_counter_uj` and `checked_power_uj` are the energy of the same time, `checked_us`, as the counter
    and as power tell it.
    """

    host: str
    boot_id: str
    uuid: str
    component: str
    name: str
    opened_us: int | None = None
    method: str = "missing"
    power_method: str = "model"
    unit_j: float | None = None
    range: int | None = None
    carry: int = 0
    spans: list[Span] = field(default_factory=list)
    tallies: dict[str, Tally] = field(default_factory=dict)
    counts: Counts = field(default_factory=Counts)
    periods_us: list[int] = field(default_factory=list)
    rate_w: float = 0.0
    checked_us: int = 0
    checked_counter_uj: int = 0
    checked_power_uj: int = 0

    def describe(self, device: wire.Device) -> None:
        """Take how its energy is known from now on. A counter that goes away may come back as it was."""
        self.power_method = power_method(device)
        self.method = "counter" if uses_counter(device) else self.power_method
        described = (device.counter_unit_j, device.counter_range)
        if self.method == "counter" and described != (self.unit_j, self.range):
            self.unit_j, self.range = described
            self.carry = 0
            for span in self.spans:
                span.counter = None

    def take(self, reading: Reading) -> list[Piece]:
        """Count one reading; return the energy that it adds, and what it corrects."""
        self._open(reading.time_us)
        if is_covered(self.spans, reading.time_us):
            self.counts.late += 1
            return []
        span = span_before(self.spans, reading.time_us)
        if span is None:
            self._start_span(reading)
            return []
        if span.last.has_value and not reading.has_value:
            self.counts.missing += 1
            return []
        piece = self._measure(span, reading)
        span.advance(reading)
        return [] if piece is None else [piece]

    def close(self, time_us: int) -> list[Piece]:
        """Hold the last power to the end of the run; a counter is not held, a last reading may still come."""
        span = None if is_covered(self.spans, time_us) else span_before(self.spans, time_us)
        if span is None:
            return []
        interval_us = time_us - span.last.time_us
        if span.last.counter is not None and interval_us <= gap_limit_us(self.periods_us):
            return []
        held = Reading(time_us, span.last.power_w)
        piece = self._by_power(span, held, interval_us)
        span.advance(held)
        return [] if piece is None else [piece]

    def told(self) -> dict[str, Tally]:
        """By method; time between covered spans is a gap, which late readings may still fill."""
        told = dict(self.tallies)
        holes_us = gaps_us(self.spans)
        if holes_us:
            with_holes = Tally(gap_us=holes_us)
            with_holes.add(told.get(self.method, Tally()))
            told[self.method] = with_holes
        return told

    def _open(self, first_us: int) -> None:
        """Count from the run's beginning, not from the first reading."""
        if self.opened_us is not None and 0 < first_us - self.opened_us <= MAX_INTERVAL_US and not self.spans:
            self.spans.append(Span(self.opened_us, Reading(self.opened_us)))

    def _start_span(self, reading: Reading) -> None:
        if self.spans and reading.time_us > self.spans[-1].last.time_us:
            self.counts.jumps += 1
        joined_us = start_span(self.spans, reading)
        if joined_us:
            self._tally(self.method).gap_us += joined_us

    def _measure(self, span: Span, reading: Reading) -> Piece | None:
        interval_us = reading.time_us - span.last.time_us
        if span.counter is None or reading.counter is None:
            piece = self._by_power(span, reading, interval_us)
        else:
            piece = self._by_counter(span, reading, interval_us)
        if span.last.has_value:
            remember_period(self.periods_us, interval_us)
        return piece

    # --- by power ---

    def _by_power(self, span: Span, reading: Reading, interval_us: int, known_uj: int = 0) -> Piece | None:
        power_w = mean_power_w(self.power_method, span.last.power_w, reading.power_w)
        if power_w is None or interval_us > gap_limit_us(self.periods_us):
            self._gap(span, reading, interval_us, known_uj)
            return None
        energy_uj = round(power_w * interval_us)
        span.filled_uj += energy_uj
        self.rate_w = power_w
        return self._piece(self.power_method, span.last.time_us, reading.time_us, energy_uj, interval_us)

    def _gap(self, span: Span, reading: Reading, interval_us: int, known_uj: int) -> None:
        """Tell that the energy of this time is not known, and estimate it from its neighbours."""
        power_w = mean_power_w("power_instant", span.last.power_w, reading.power_w)
        estimated_uj = round((self.rate_w if power_w is None else power_w) * interval_us)
        has_value = span.last.has_value or reading.has_value
        tally = self._tally(self.method if has_value else "missing")
        tally.gap_us += interval_us
        tally.estimated_uj += max(0, estimated_uj - known_uj)

    # --- by counter ---

    def _by_counter(self, span: Span, reading: Reading, interval_us: int) -> Piece | None:
        delta = self._delta(span, reading, interval_us)
        self.counts.wraps += delta.wraps
        if delta.kind == "implausible":
            self.counts.rejected += 1
            return self._by_power(span, reading, interval_us)
        if delta.kind == "reset":
            return self._after_reset(span, reading, interval_us, delta)
        energy_uj = self._microjoules(delta.counts)
        if delta.kind == "ambiguous":
            self.counts.ambiguous_wraps += 1
            self._gap(span, reading, interval_us, energy_uj)
            interval_us = 0
        else:
            self._check(span, reading, interval_us, energy_uj)
        start_us = span.counter_us
        return self._piece("counter", start_us, reading.time_us, span.settle(energy_uj), interval_us)

    def _delta(self, span: Span, reading: Reading, interval_us: int) -> Delta:
        assert span.counter is not None
        assert reading.counter is not None
        assert self.unit_j is not None
        unit = unit_uj(self.unit_j)
        since_us = reading.time_us - span.counter_us
        most_w = PLAUSIBLE_W[self.component]
        power_w = mean_power_w("power_instant", span.last.power_w, reading.power_w)
        expected_uj = None if power_w is None else span.filled_uj + round(power_w * interval_us)
        return counter_delta(
            span.counter,
            reading.counter,
            self.range,
            # Half as much again, and a second more, as a counter may be updated late.
            most=to_counts(most_w * (since_us + SECOND_US) * 3 // 2, unit),
            expected=None if expected_uj is None else to_counts(expected_uj, unit),
            may_lap=self.range is not None and to_counts(most_w * since_us, unit) > self.range,
        )

    def _after_reset(self, span: Span, reading: Reading, interval_us: int, delta: Delta) -> Piece | None:
        """Only power knows what was used before the reset; what was counted since is the least it can be."""
        self.counts.resets += 1
        self.carry = 0
        energy_uj = self._microjoules(delta.counts)
        by_power = self._by_power(span, reading, interval_us, known_uj=energy_uj)
        if by_power is not None:
            return by_power
        return self._piece("counter", span.last.time_us, reading.time_us, energy_uj, 0)

    def _check(self, span: Span, reading: Reading, interval_us: int, energy_uj: int) -> None:
        """Hold the counter against power where both are known, and remember its rate for estimates."""
        self.rate_w = energy_uj / (reading.time_us - span.counter_us)
        power_w = mean_power_w("power_instant", span.last.power_w, reading.power_w)
        if power_w is None or span.last.counter is None or interval_us > gap_limit_us(self.periods_us):
            return
        self.checked_us += interval_us
        self.checked_counter_uj += energy_uj
        self.checked_power_uj += round(power_w * interval_us)

    # --- both ---

    def _microjoules(self, counts: int) -> int:
        assert self.unit_j is not None
        energy_uj, self.carry = to_microjoules(counts, unit_uj(self.unit_j), self.carry)
        return energy_uj

    def _piece(self, method: str, start_us: int, end_us: int, energy_uj: int, measured_us: int) -> Piece:
        tally = self._tally(method)
        tally.energy_uj += energy_uj
        tally.low_uj += energy_uj
        tally.high_uj += energy_uj
        tally.measured_us += measured_us
        return Piece(start_us, end_us, energy_uj, method, energy_uj, energy_uj)

    def _tally(self, method: str) -> Tally:
        return self.tallies.setdefault(method, Tally())
