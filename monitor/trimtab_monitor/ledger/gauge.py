"""How the energy of one device is told between two of its readings.

In this order: the counter, if both have one and it is believed; power, averaged or integrated; else a gap,
whose seconds are told and whose energy is only estimated, apart.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Final

from trimtab import wire
from trimtab_monitor.ledger.check import Block, Check, is_full
from trimtab_monitor.ledger.counters import Delta, Expected, counter_delta, to_counts, to_microjoules, unit_uj
from trimtab_monitor.ledger.power import (
    LEAST_GAP_US,
    Estimate,
    PowerField,
    estimate,
    gap_limit_us,
    remember_period,
    usual_us,
)
from trimtab_monitor.ledger.reading import Counts, Reading, power_field, uses_counter
from trimtab_monitor.ledger.settling import filled_uj, settled
from trimtab_monitor.ledger.spans import Span
from trimtab_monitor.ledger.tally import Entry, Tally
from trimtab_monitor.ledger.units import MINUTE_US, SECOND_US

_STANDS_STILL_US: Final = SECOND_US // 2
"""Counters are renewed ten times a second or more often."""


@dataclass(slots=True)
class Gauge:
    """What is known of a device, and what became of its readings.

    `method` is how its energy is known at present, `power` what its power readings are. `rate_w` is what it
    drew last, `lowest_w` the lowest power that was read.
    """

    component: str = "gpu"
    method: str = "missing"
    power: PowerField = field(default_factory=PowerField)
    unit_j: float | None = None
    range: int | None = None
    carry: int = 0
    counts: Counts = field(default_factory=Counts)
    check: Check = field(default_factory=Check)
    periods_us: list[int] = field(default_factory=list)
    rate_w: float | None = None
    lowest_w: float | None = None

    def describe(self, device: wire.Device) -> bool:
        """Take how its energy is known from now on; False if its counter is another one than before."""
        self.component = device.component
        self.power = power_field(device)
        self.method = "counter" if uses_counter(device) else self.power.method
        described = (device.counter_unit_j, device.counter_range)
        if self.method != "counter" or described == (self.unit_j, self.range):
            return True
        self.unit_j, self.range = described
        self.carry = 0
        return False

    def measure(self, span: Span, reading: Reading) -> list[Entry]:
        """Tell the energy from the last reading of a span to this one, which becomes the last.

        A counter that stands still is away until it moves, if power tells: no device draws nothing.
        """
        stands = reading.counter is not None and reading.counter == span.counter
        stands_us = reading.time_us - span.moved_us if stands else 0
        if stands_us >= _STANDS_STILL_US and reading.power_w:
            reading = reading._replace(counter=None)
            if stands_us >= MINUTE_US:
                self.check.ratio = 0.0
        interval_us = reading.time_us - span.last.time_us
        by_power = self._estimate(span.last.power_w, reading.power_w, interval_us)
        if span.counter is None or reading.counter is None:
            told = [self._between(span.last, reading, by_power)]
            span.fill(told[0])
        else:
            told, reading = self._by_counter(span, reading, by_power)
        if span.last.has_value:
            remember_period(self.periods_us, interval_us)
        span.advance(reading)
        return told

    def hold(self, last: Reading, start_us: int, end_us: int, mean_w: float | None = None) -> Entry | None:
        """Tell of the time at an edge of the run what the reading beside it says, or the rate there.

        A device that told nothing more up to the end went on with its work (at `mean_w`) or stood still, and
        nobody knows which: it is estimated half-way between that and the lowest power.
        """
        by_power = self._estimate(last.power_w, None, end_us - start_us)
        if by_power is None and self.rate_w is not None and last.counter is not None:
            held = replace(self.power, method="power_instant")
            by_power = estimate(held, self.rate_w, None, end_us - start_us, 0.0)
        power_w = last.power_w
        if mean_w is not None and self.is_far(end_us - start_us):
            power_w = (mean_w + (mean_w if self.lowest_w is None else min(mean_w, self.lowest_w))) / 2
        first, second = Reading(start_us, power_w), Reading(end_us, power_w)
        method = "counter" if last.power_w is None and last.counter is not None else None
        return self._between(first, second, by_power, method)

    def see(self, power_w: float | None) -> None:
        """Remember the lowest power."""
        if power_w is not None and (self.lowest_w is None or power_w < self.lowest_w):
            self.lowest_w = power_w

    def gap(self, start_us: int, end_us: int, power_w: float | None, known_uj: int = 0) -> Entry:
        """Tell that the energy of this time is not known; estimated at this power, `known_uj` is counted."""
        interval_us = end_us - start_us
        estimated_uj = round((power_w or 0.0) * interval_us)
        least_uj = round(self._least_w * interval_us)
        most_uj = max(round(self.power.most_w * interval_us), estimated_uj)
        amount = Tally(known_uj, known_uj, known_uj, 0, interval_us)
        amount.estimated_uj = max(0, estimated_uj - known_uj)
        amount.estimated_low_uj = min(max(0, least_uj - known_uj), amount.estimated_uj)
        amount.estimated_high_uj = max(0, most_uj - known_uj)
        return Entry(start_us, end_us, self.method, amount)

    def is_next(self, interval_us: int) -> bool:
        """Whether readings so far apart have no other between them."""
        return bool(self.periods_us) and interval_us <= 3 * usual_us(self.periods_us) // 2

    def neighbours_w(self, last: Reading, reading: Reading) -> float | None:
        """The mean of the neighbours, or what was drawn before."""
        known = [power_w for power_w in (last.power_w, reading.power_w) if power_w is not None]
        return sum(known) / len(known) if known else self.rate_w

    # --- by power ---

    @property
    def _least_w(self) -> float:
        """The least that it draws: the lowest power seen if it idled then, else nothing is known."""
        return self.lowest_w if self.lowest_w is not None and self.lowest_w <= self.power.idle_w else 0.0

    def _estimate(
        self, previous_w: float | None, current_w: float | None, interval_us: int
    ) -> Estimate | None:
        return estimate(self.power, previous_w, current_w, interval_us, self._least_w)

    def is_far(self, interval_us: int) -> bool:
        """Whether readings so far apart have a gap between them."""
        return interval_us > LEAST_GAP_US and interval_us > gap_limit_us(self.periods_us)

    def _between(
        self, last: Reading, reading: Reading, by_power: Estimate | None, method: str | None = None
    ) -> Entry:
        """By power, or a gap."""
        start_us, end_us = last.time_us, reading.time_us
        interval_us = end_us - start_us
        if by_power is None or self.is_far(interval_us):
            told = self.gap(start_us, end_us, self.neighbours_w(last, reading))
            if not (last.has_value or reading.has_value) and method is None:
                told.method = "missing"
            return told
        amount = Tally(by_power.energy_uj, by_power.low_uj, by_power.high_uj, interval_us)
        self.rate_w = by_power.energy_uj / interval_us
        is_momentary = self.power.method == "power_instant"
        return Entry(
            start_us,
            end_us,
            method or self.power.method,
            amount,
            last.power_w if is_momentary else None,
            reading.power_w if is_momentary else None,
            self.power.most_w,
        )

    # --- by counter ---

    def _by_counter(
        self, span: Span, reading: Reading, by_power: Estimate | None
    ) -> tuple[list[Entry], Reading]:
        delta = self._delta(span, reading, by_power)
        if delta.kind in ("implausible", "reset") and span.suspect is not None:
            delta = self._from_suspect(span, reading, by_power) or delta
        self.counts.wraps += delta.wraps
        if delta.kind == "implausible":
            return self._rejected(span, reading, by_power)
        if delta.kind in ("reset", "doubtful"):
            return self._unknown(span, reading, by_power, delta), reading
        return self._advanced(span, reading, by_power, delta), reading

    def _delta(self, span: Span, reading: Reading, by_power: Estimate | None) -> Delta:
        assert span.counter is not None
        assert reading.counter is not None
        assert self.unit_j is not None
        unit = unit_uj(self.unit_j)
        since_us = reading.time_us - span.moved_us + span.overtaken_us
        # Half as much again, and as long again up to a second, as a counter may be updated late.
        late_us = min(max(since_us, _STANDS_STILL_US // 5), SECOND_US)
        most = to_counts(round(self.power.most_w * (since_us + late_us) * 3) // 2, unit)
        if self.range is None and 0 <= reading.counter - span.counter <= most < reading.counter:
            return Delta("advance", reading.counter - span.counter)
        return counter_delta(
            span.counter,
            reading.counter,
            self.range,
            most,
            expected=self._expected(span, reading, by_power),
            may_lap=self.range is not None
            and to_counts(round(self.power.most_w * since_us), unit) > self.range,
        )

    def _expected(self, span: Span, reading: Reading, by_power: Estimate | None) -> Expected | None:
        """What the counter should have counted; None if nothing is known."""
        assert self.unit_j is not None
        interval_us = reading.time_us - span.last.time_us
        if by_power is not None:
            energy_uj = filled_uj(span) + by_power.energy_uj
            is_dark = self.is_far(interval_us) or any(each.amount.gap_us for each in span.fills)
            is_sure = self.power.method == "power_average" or (bool(span.fills) and self.check.agrees)
            return Expected(to_counts(energy_uj, unit_uj(self.unit_j)), not is_dark, is_sure, is_dark)
        if self.rate_w is None:
            return None
        energy_uj = round(self.rate_w * (reading.time_us - span.counter_us))
        counts = to_counts(energy_uj, unit_uj(self.unit_j))
        return Expected(counts, is_dark=self.is_far(interval_us))

    def _from_suspect(self, span: Span, reading: Reading, by_power: Estimate | None) -> Delta | None:
        """A value that was not believed, and from which the counter went on as it should, was true."""
        assert span.suspect is not None
        counter, time_us = span.suspect
        trial = Span(span.first, span.last, counter, time_us, time_us)
        delta, expected = self._delta(trial, reading, by_power), self._expected(trial, reading, by_power)
        if delta.kind != "advance" or (expected is not None and delta.counts < expected.least):
            return None
        if expected is not None and expected.by_power and delta.counts > 2 * expected.counts:
            return None
        span.rebase(counter, time_us)
        return delta

    def _rejected(
        self, span: Span, reading: Reading, by_power: Estimate | None
    ) -> tuple[list[Entry], Reading]:
        assert reading.counter is not None
        self.counts.rejected += 1
        told = self._between(span.last, reading, by_power)
        span.fill(told)
        span.suspect = (reading.counter, reading.time_us)
        return [told], reading._replace(counter=None)

    def _unknown(self, span: Span, reading: Reading, by_power: Estimate | None, delta: Delta) -> list[Entry]:
        """Only power knows what was used before a reset; what was counted since is the least it can be."""
        self.counts.resets += delta.kind == "reset"
        self.counts.doubtful_resets += delta.kind == "doubtful"
        self.carry = 0
        told = self._between(span.last, reading, by_power)
        if not told.amount.gap_us:
            return [told]
        counted_uj = self._microjoules(delta.counts)
        known_uj = max(0, counted_uj - filled_uj(span))
        power_w = self.neighbours_w(span.last, reading)
        if delta.kind == "doubtful":  # once: from here on this is what it draws
            self.rate_w = counted_uj / (reading.time_us - span.counter_us)
        return [self.gap(told.start_us, told.end_us, power_w, known_uj)]

    def _advanced(self, span: Span, reading: Reading, by_power: Estimate | None, delta: Delta) -> list[Entry]:
        assert self.unit_j is not None
        energy_uj = self._microjoules(delta.counts)
        amount = Tally(energy_uj, energy_uj, energy_uj, reading.time_us - span.counter_us)
        interval_us = reading.time_us - span.last.time_us
        if delta.kind == "advance" and delta.highest and (span.fills or self.is_far(interval_us)):
            highest_uj = to_microjoules(delta.highest, unit_uj(self.unit_j), 0)[0]
            most_uj = round(self.power.most_w * amount.measured_us)
            amount.high_uj = max(energy_uj, min(highest_uj, most_uj))
        if delta.kind == "ambiguous":
            self._widen(amount, delta, interval_us)
        told = Entry(
            span.counter_us,
            reading.time_us,
            "counter",
            amount,
            span.last.power_w,
            reading.power_w,
            self.power.most_w,
            self.rate_w if amount.measured_us < _STANDS_STILL_US else None,
        )
        if energy_uj and not delta.is_open:
            self.rate_w = energy_uj / (reading.time_us - span.moved_us)
        return self._checked(span, reading, by_power, told)

    def _widen(self, amount: Tally, delta: Delta, interval_us: int) -> None:
        """It is not known how often the counter wrapped."""
        assert self.unit_j is not None
        unit = unit_uj(self.unit_j)
        self.counts.ambiguous_wraps += 1
        amount.low_uj = to_microjoules(delta.lowest, unit, 0)[0]
        highest_uj = to_microjoules(delta.highest, unit, 0)[0]
        if not delta.is_open:
            amount.high_uj = highest_uj
            return
        amount.gap_us, amount.measured_us = interval_us, amount.measured_us - interval_us
        amount.estimated_high_uj = highest_uj - amount.energy_uj
        amount.estimated_uj = amount.estimated_high_uj // 2

    def _checked(self, span: Span, reading: Reading, by_power: Estimate | None, told: Entry) -> list[Entry]:
        """Hold the counter against power where both are known, and believe it or not."""
        interval_us = reading.time_us - span.last.time_us
        is_clean = not (span.fills or span.overtaken_us or told.amount.high_uj != told.amount.energy_uj)
        stand_in: Entry | None = None
        if by_power is not None and not self.is_far(interval_us):
            rate_w = self.rate_w
            stand_in = self._between(span.last, reading, by_power)
            if self.check.is_trusted:
                self.rate_w = rate_w
        if not self.check.is_trusted:
            believed = [stand_in or self._between(span.last, reading, by_power)]
        else:
            believed = settled(span, told, by_power)
        if stand_in is None or not is_clean:
            return believed
        span.block.add(told, stand_in, self.power.is_checked_by(interval_us))
        if is_full(span.block):
            believed = [*believed, *self.check.judge(span.block)]
            span.block = Block()
        return believed

    def _microjoules(self, counts: int) -> int:
        assert self.unit_j is not None
        energy_uj, self.carry = to_microjoules(counts, unit_uj(self.unit_j), self.carry)
        return energy_uj
