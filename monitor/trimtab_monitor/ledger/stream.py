"""The energy of one device, reading by reading: each moment of its run once.

What lies before the run's beginning and after its end is left out, whenever they are heard of; at both ends
the power of the reading beside is held.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from trimtab import wire
from trimtab_monitor.ledger.check import Check
from trimtab_monitor.ledger.edges import GRACE_US, Edges
from trimtab_monitor.ledger.gauge import Gauge
from trimtab_monitor.ledger.holes import hole_since, holes_between, leaves_a_hole
from trimtab_monitor.ledger.power import MAX_INTERVAL_US
from trimtab_monitor.ledger.reading import Counts, Reading
from trimtab_monitor.ledger.spans import (
    Span,
    counted_elsewhere,
    span_at,
    span_before,
    start_span,
)
from trimtab_monitor.ledger.tally import Entry, Tally
from trimtab_monitor.ledger.units import SECOND_US, Piece

_DOUBT_US: Final = 10 * SECOND_US
"""A counter that differs from power for as long as this is doubted, though not judged yet."""


@dataclass(slots=True)
class Stream:
    """One device's part of the ledger.

    `spans` is the time covered by its readings, `lead` and `tail` what is told, until more is known, of the
    time from the run's beginning to the first of them and from the last of them to the run's end. `empty_us`
    is when it was read last without any value, `left_us` when the run began again without it.
    """

    host: str
    boot_id: str
    uuid: str
    component: str
    name: str
    gauge: Gauge = field(default_factory=Gauge)
    spans: list[Span] = field(default_factory=list)
    edges: Edges = field(default_factory=Edges)
    lead: Entry | None = None
    tail: Entry | None = None
    empty_us: int = 0
    left_us: int | None = None

    @property
    def counts(self) -> Counts:
        """What happened to its readings."""
        return self.gauge.counts

    @property
    def check(self) -> Check:
        """What the checks of its counter said."""
        return self.gauge.check

    @property
    def method(self) -> str:
        """How its energy is known at present."""
        return self.gauge.method

    @property
    def tallies(self) -> dict[str, Tally]:
        """What each method told of it, of covered time."""
        return self.edges.tallies

    def describe(self, device: wire.Device) -> None:
        """Take how its energy is known from now on. A counter that goes away may come back as it was."""
        if not self.gauge.describe(device):
            for span in self.spans:
                span.forget_counter()

    def take(self, reading: Reading) -> list[Piece]:
        """Count one reading; return the energy that it adds, and what it corrects."""
        self.gauge.see(reading.power_w)
        covering = span_at(self.spans, reading.time_us)
        if covering is not None:
            self.counts.late += 1
            covering.overtake(reading)
            return []
        told: list[Piece] = []
        span = span_before(self.spans, reading.time_us)
        self.left_us = None
        if span is not None:
            told += self._doubt_edges(span, reading)
        if span is None or leaves_a_hole(span, reading, self.gauge):
            span = self._start_span(reading)
        elif span.last.has_value and not reading.has_value:
            self.counts.missing += 1
            self.empty_us = max(self.empty_us, reading.time_us)
            return told
        else:
            is_early, is_trusted = self._is_early(span), self.check.is_trusted
            if is_early:
                self._forget_before(span, reading)
            told += self._book(self._measure(span, reading))
            if is_early:
                span.first = span.first._replace(power_w=self.gauge.rate_w)
            if is_trusted and not self.check.is_trusted:
                self.spans[0].first = self.spans[0].first._replace(power_w=reading.power_w)
        return told + self._join(span) + self._hold()

    def open(self, time_us: int) -> list[Piece]:
        """The run began, or goes on after it had ended; what was read before is not its own."""
        edges, told = self.edges, list[Piece]()
        if edges.end_us is not None and time_us >= edges.end_us:
            told += self._go_on()
        if self.left_us is None and self.spans and time_us > self.spans[-1].last.time_us:
            self.left_us = time_us
        is_earlier = edges.begin_us is None or time_us < edges.begin_us
        if is_earlier and not any(span.last.time_us < time_us - GRACE_US for span in self.spans):
            told += edges.move(time_us, edges.end_us)
        return told + self._hold()

    def close(self, time_us: int) -> list[Piece]:
        """The run ended; of several processes that end, the last counts."""
        edges = self.edges
        latest_us = max((span.last.time_us for span in self.spans), default=time_us)
        is_across = bool(edges.recent) and edges.recent[-1].start_us <= time_us
        is_over = is_across or time_us + GRACE_US >= latest_us
        is_over = is_over and (edges.end_us is None or time_us > edges.end_us)
        told = edges.move(edges.begin_us, time_us) if is_over else []
        return told + self._hold()

    def told(self, host: Sequence[Span] = ()) -> dict[str, Tally]:
        """By method; time between covered spans is a gap, which late readings may still fill.

        So is the time since, in which it was read without a value or others of its `host` were read.
        """
        told = {method: replace(tally) for method, tally in self.tallies.items() if tally != Tally()}
        if self.method in told:
            power = self.gauge.power
            _widen(told[self.method], power.blurred_uj if self.method == "counter" else power.stale_uj)
        for span in self.spans:
            if self.check.is_trusted and span.block.checked_us >= _DOUBT_US and span.block.is_unsound:
                told.setdefault("counter", Tally()).add(span.block.doubt().amount)
        for hole in self._holes(host):
            told.setdefault(self.method, Tally()).add(hole.amount)
        for tally in told.values():
            tally.low_uj = max(0, min(tally.low_uj, tally.energy_uj))
            tally.high_uj = max(tally.high_uj, tally.energy_uj)
            tally.estimated_uj = max(0, tally.estimated_uj)  # cuts taken back may differ by a microjoule
            tally.estimated_low_uj = max(0, min(tally.estimated_low_uj, tally.estimated_uj))
            tally.estimated_high_uj = max(tally.estimated_high_uj, tally.estimated_uj)
        return told

    # --- inside ---

    def _holes(self, host: Sequence[Span]) -> Iterable[Entry]:
        yield from holes_between(self.spans, self.edges, self.gauge)
        if self.tail is None and self.spans:
            edges_us = [each for each in (self.edges.end_us, self.left_us) if each is not None]
            yield from hole_since(self.spans[-1], host, self.gauge, self.empty_us, edges_us)

    def _book(self, entries: Iterable[Entry]) -> list[Piece]:
        return [piece for entry in entries for piece in self.edges.book(entry)]

    def _measure(self, span: Span, reading: Reading) -> list[Entry]:
        if span.counter is None or reading.counter is None or len(self.spans) == 1:
            return self.gauge.measure(span, reading)
        counter, counter_us = span.counter, span.counter_us
        span.counter += counted_elsewhere(self.spans, span, reading.counter)
        told = self.gauge.measure(span, reading)
        if span.counter_us == counter_us:
            span.counter = counter
        return told

    @property
    def _reach_us(self) -> int:
        """How far back a power reading may reach: over its window, or to its last renewal."""
        power = self.gauge.power
        return (power.window_us or 0) if power.method == "power_average" else power.update_us

    def _is_early(self, span: Span) -> bool:
        """Whether its last reading may tell of time before the run: the next says more of its start."""
        if span is not self.spans[0] or span.first.power_w is None:
            return False
        return span.last.time_us < span.first.time_us + 3 * self._reach_us // 4

    def _forget_before(self, span: Span, reading: Reading) -> None:
        """Power from before the run says nothing of time that its next reading does not reach."""
        power, begin_us, last = self.gauge.power, self.edges.begin_us, span.last
        is_before = begin_us is not None and last.time_us < begin_us + self._reach_us
        if (
            is_before
            and reading.power_w is not None
            and reading.time_us > last.time_us + (power.window_us or 0)
        ):
            span.last = last._replace(power_w=reading.power_w)

    def _start_span(self, reading: Reading) -> Span:
        if self.spans and reading.time_us > self.spans[-1].last.time_us + MAX_INTERVAL_US:
            self.counts.jumps += 1
        span, joined_us = start_span(self.spans, reading)
        if joined_us:
            gap = self.gauge.gap(0, joined_us, self.gauge.rate_w)
            self.edges.count(gap)
        return span

    def _join(self, span: Span) -> list[Piece]:
        """A span that came up to the next becomes one with it, as earlier readings may come later."""
        later = next((each for each in self.spans if each.start_us > span.last.time_us), None)
        if later is None or not self.gauge.is_next(later.start_us - span.last.time_us):
            return []
        if span.counter is not None and span.counter > (later.first.counter or span.counter):
            return []
        told = self._book(self.gauge.measure(span, later.first))
        later.follow(span)
        self.spans.remove(span)
        return told

    def _doubt_edges(self, span: Span, reading: Reading) -> list[Piece]:
        """Two readings beyond an edge show that the run did not begin or end there.

        It goes on, or the clock of its readings is not that of its events, or was set.
        """
        edges = self.edges
        if edges.begin_us is not None and reading.time_us < edges.begin_us - GRACE_US:
            self.counts.clocks += 1
            return edges.move(None, edges.end_us)
        is_beyond = edges.end_us is not None and reading.time_us > edges.end_us + GRACE_US
        return self._go_on() if is_beyond and span.last.time_us > (edges.end_us or 0) else []

    def _go_on(self) -> list[Piece]:
        """The run did not end: what was left out after its end is its own."""
        return self.edges.move(self.edges.begin_us, None)

    def _hold(self) -> list[Piece]:
        """Tell the time between the run's ends and the readings beside them, as far as it is not told."""
        if self.edges.end_us is None and self.tail is None and self._is_led():
            return []
        lead, tail = self._lead(), self._tail()
        told: list[Piece] = []
        if lead != self.lead:
            told += self._instead(self.lead, lead)
            self.lead = lead
        if tail != self.tail:
            told += self._instead(self.tail, tail)
            self.tail = tail
        return told

    def _instead(self, old: Entry | None, new: Entry | None) -> list[Piece]:
        told = [] if old is None else self.edges.count(old.taken_back())
        return told if new is None else told + self.edges.count(new)

    def _is_led(self) -> bool:
        """Whether the time before the first reading is told as well as can be."""
        begin_us, lead = self.edges.begin_us, self.lead
        if begin_us is None or lead is None or not self.spans:
            return begin_us is None
        first = self.spans[0].first
        is_same = (lead.start_us, lead.end_us, lead.start_w) == (begin_us, first.time_us, first.power_w)
        return is_same and (lead.amount.energy_uj > 0 or self.gauge.rate_w is None)

    def _lead(self) -> Entry | None:
        begin_us = self.edges.begin_us
        if begin_us is None or not self.spans or self._is_led():
            return self.lead
        first = self.spans[0].first
        if not 0 < first.time_us - begin_us <= MAX_INTERVAL_US:
            return None
        lead = self.gauge.hold(first, begin_us, first.time_us)
        return lead and replace(lead, start_w=first.power_w)

    def _tail(self) -> Entry | None:
        end_us = self.edges.end_us
        span = None if end_us is None or span_at(self.spans, end_us) else span_before(self.spans, end_us)
        if end_us is None or span is None:
            return None
        return self.gauge.hold(span.last, span.last.time_us, end_us, self._mean_w())

    def _mean_w(self) -> float | None:
        """The mean power of its measured time."""
        measured_us = sum(tally.measured_us for tally in self.tallies.values())
        energy_uj = sum(tally.energy_uj for tally in self.tallies.values())
        return energy_uj / measured_us if measured_us > 0 else None


def _widen(tally: Tally, by_uj: int) -> None:
    if tally.energy_uj:
        tally.low_uj, tally.high_uj = tally.low_uj - by_uj, tally.high_uj + by_uj
