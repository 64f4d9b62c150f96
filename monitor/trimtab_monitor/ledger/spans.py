"""Which time of a device is covered by readings, so that each moment is counted once.

A reading inside a span is late (sent twice, out of order, or the clock was set back) and left out. One in
time never seen goes on from the span before it, or starts one, whenever it arrives.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Final

from trimtab_monitor.ledger.check import Block
from trimtab_monitor.ledger.power import MAX_INTERVAL_US
from trimtab_monitor.ledger.reading import LATEST_S, Reading
from trimtab_monitor.ledger.tally import Entry, join
from trimtab_monitor.ledger.units import SECOND_US

_MAX_SPANS: Final = 16
_MAX_FILLS: Final = 48


@dataclass(slots=True)
class Span:
    """Time of a device that is covered, from the first reading to the last.

    While the counter is away, `counter` and `counter_us` keep its last value and `fills` what was told since,
    by the hour; when it comes back, it has the last word. All from `counted_from` on is counted here.
    `moved_us` is when it was first read at that value.
    `suspect` is a value and its time that was not believed. `overtaken_us` is the time in which readings came
    that seemed late although the counter went on: the clock was set back. `fell_us` is when the counter fell
    or was not believed last. `block` is what its counter and power told since the last check.
    """

    first: Reading
    last: Reading
    counter: int | None = None
    counter_us: int = 0
    moved_us: int = 0
    counted_from: int | None = None
    fills: list[Entry] = field(default_factory=list)
    suspect: tuple[int, int] | None = None
    overtaken_us: int = 0
    overtaking_us: int | None = None
    fell_us: int = 0
    block: Block = field(default_factory=Block)

    @property
    def start_us(self) -> int:
        """Where it begins."""
        return self.first.time_us

    def advance(self, reading: Reading) -> None:
        """The reading is now the last."""
        self.last = reading
        if reading.counter is not None:
            is_new = self.counter is None or self.counted_from is None or reading.counter < self.counter
            counted_from = reading.counter if is_new else self.counted_from
            self.rebase(reading.counter, reading.time_us)
            self.counted_from = counted_from

    def rebase(self, counter: int, time_us: int) -> None:
        """Count on from this value of the counter."""
        if self.counter is not None and counter < self.counter:
            self.fell_us = time_us
        elif self.suspect is not None:
            self.fell_us = self.suspect[1]
        self.counted_from = counter
        if counter != self.counter:
            self.moved_us = time_us
        self.counter, self.counter_us, self.fills, self.suspect = counter, time_us, [], None
        self.overtaken_us, self.overtaking_us = 0, None

    def follow(self, earlier: Span) -> None:
        """It goes on from an earlier one, as far as its own first reading."""
        self.first = earlier.first
        if earlier.counted_from is not None and self.counted_from is not None:
            self.counted_from = min(earlier.counted_from, self.counted_from)

    def forget_counter(self) -> None:
        """The counter is another now, or of another unit."""
        self.counter, self.fills, self.suspect, self.block = None, [], None, Block()

    def fill(self, entry: Entry) -> None:
        """Remember what was told while the counter is away."""
        if self.counter is not None:
            join(self.fills, entry, _MAX_FILLS)

    def overtake(self, reading: Reading) -> None:
        """See whether a late reading is of a clock that was set back: then its counter is ahead.

        One from before the counter fell, as it wrapped or began again, is ahead too if it is sent twice, and
        so is one that was not believed.
        """
        if self.counter is None or reading.counter is None or reading.counter <= self.counter:
            return
        if reading.time_us <= (self.fell_us if self.suspect is None else self.suspect[1]):
            return
        if self.overtaking_us is not None:
            self.overtaken_us += max(0, reading.time_us - self.overtaking_us)
        self.overtaking_us = reading.time_us


def span_at(spans: list[Span], time_us: int) -> Span | None:
    """The span in which the moment lies: it is counted already."""
    for span in spans:
        if span.first.time_us <= time_us <= span.last.time_us:
            return span
    return None


def span_before(spans: list[Span], time_us: int) -> Span | None:
    """The span that a reading at an uncovered moment goes on from; None if it ended too long before."""
    for span in reversed(spans):
        if span.last.time_us < time_us:
            return span if time_us - span.last.time_us <= MAX_INTERVAL_US else None
    return None


def counted_elsewhere(spans: list[Span], span: Span, counter: int) -> int:
    """What other spans counted of the way from a span to this value of the counter.

    So it is where a clock was set back, and then went on past the time at which it was.
    """
    counted = 0
    for other in spans:
        start, end = other.counted_from, other.counter
        if other is span or start is None or end is None or span.counter is None:
            continue
        counted += end - start if span.counter <= start <= end <= counter else 0
    return counted


def start_span(spans: list[Span], reading: Reading) -> tuple[Span, int]:
    """Begin a span; with the microseconds between spans that had to be joined, as memory is bounded."""
    span = Span(reading, reading)
    span.advance(reading)
    spans.append(span)
    spans.sort(key=_start)
    if len(spans) <= _MAX_SPANS:
        return span, 0
    hole_us = gaps_us(spans[:2])
    spans[1].first = spans[0].first
    del spans[0]
    return span, hole_us


def gaps_us(spans: list[Span]) -> int:
    """Time between spans, where it is short enough to be of the same life of the run."""
    holes = (later.start_us - span.last.time_us for span, later in pairwise(spans))
    return sum(hole for hole in holes if hole <= MAX_INTERVAL_US)


def read_us(spans: Sequence[Span], from_us: int = 0, until_us: int = LATEST_S * SECOND_US) -> int:
    """How much of [from, until) is covered."""
    covered = ((max(from_us, span.start_us), min(span.last.time_us, until_us)) for span in spans)
    return sum(max(0, end_us - start_us) for start_us, end_us in covered)


def _start(span: Span) -> int:
    return span.start_us
