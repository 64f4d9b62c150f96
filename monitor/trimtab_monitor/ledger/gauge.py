"""How the energy of one device is told between two of its readings.

In this order: the counter, if both have one and it is believed; power, averaged or integrated; else a gap,
whose seconds are told and whose energy is only estimated, apart.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from trimtab import wire
from trimtab_monitor.ledger.check import Block, Check, is_full
from trimtab_monitor.ledger.counters import Delta, Expected, counter_delta, to_counts, to_microjoules, unit_uj
from trimtab_monitor.ledger.power import Estimate, remember_period
from trimtab_monitor.ledger.power_gauge import PowerGauge
from trimtab_monitor.ledger.reading import Counts, Reading, power_field, uses_counter
from trimtab_monitor.ledger.settling import filled_uj, settled
from trimtab_monitor.ledger.spans import Span
from trimtab_monitor.ledger.tally import Entry, Tally
from trimtab_monitor.ledger.units import MINUTE_US, SECOND_US

_STANDS_STILL_US: Final = SECOND_US // 2
"""Counters are renewed ten times a second or more often."""


@dataclass(slots=True)
class Gauge(PowerGauge):
    """What is known of a device, and what became of its readings."""

    unit_j: float | None = None
    range: int | None = None
    carry: int = 0
    counts: Counts = field(default_factory=Counts)
    check: Check = field(default_factory=Check)

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
        by_power = self.estimated(span.last.power_w, reading.power_w, interval_us)
        if span.counter is None or reading.counter is None:
            told = [self.between(span.last, reading, by_power)]
            span.fill(told[0])
        else:
            told, reading = self._by_counter(span, reading, by_power)
        if span.last.has_value:
            remember_period(self.periods_us, interval_us)
        span.advance(reading)
        return told

    # --- inside ---

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
        told = self.between(span.last, reading, by_power)
        span.fill(told)
        span.suspect = (reading.counter, reading.time_us)
        return [told], reading._replace(counter=None)

    def _unknown(self, span: Span, reading: Reading, by_power: Estimate | None, delta: Delta) -> list[Entry]:
        """Only power knows what was used before a reset; what was counted since is the least it can be."""
        self.counts.resets += delta.kind == "reset"
        self.counts.doubtful_resets += delta.kind == "doubtful"
        self.carry = 0
        told = self.between(span.last, reading, by_power)
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
            stand_in = self.between(span.last, reading, by_power)
            if self.check.is_trusted:
                self.rate_w = rate_w
        if not self.check.is_trusted:
            believed = [stand_in or self.between(span.last, reading, by_power)]
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
