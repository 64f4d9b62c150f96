"""Which time of a device is covered by readings, so that each moment is counted once.

A reading inside a span is late (sent twice, out of order, or the clock was set back) and left out. One in
time never seen goes on from the span before it, or starts one, whenever it arrives.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import Final

from trimtab_monitor.ledger.power import MAX_INTERVAL_US
from trimtab_monitor.ledger.reading import Reading

_MAX_SPANS: Final = 16


@dataclass(slots=True)
class Span:
    """Time of a device that is covered, to the last reading.

    While the counter is away, `counter` and `counter_us` keep its last value and `filled_uj` the energy that
    power has told since; when it comes back, it has the last word. `owed_uj` is what power told too much.
    """

    start_us: int
    last: Reading
    counter: int | None = None
    counter_us: int = 0
    filled_uj: int = 0
    owed_uj: int = 0

    def advance(self, reading: Reading) -> None:
        """The reading is now the last."""
        self.last = reading
        if reading.counter is not None:
            self.counter, self.counter_us, self.filled_uj = reading.counter, reading.time_us, 0

    def settle(self, energy_uj: int) -> int:
        """What is not yet counted of what the counter says; never negative, what follows pays for it."""
        due = energy_uj - self.filled_uj - self.owed_uj
        self.owed_uj = max(0, -due)
        return max(0, due)


def is_covered(spans: list[Span], time_us: int) -> bool:
    """Whether the moment is counted already."""
    return any(span.start_us <= time_us <= span.last.time_us for span in spans)


def span_before(spans: list[Span], time_us: int) -> Span | None:
    """The span that a reading at an uncovered moment goes on from; None if it ended too long before."""
    for span in reversed(spans):
        if span.last.time_us < time_us:
            return span if time_us - span.last.time_us <= MAX_INTERVAL_US else None
    return None


def start_span(spans: list[Span], reading: Reading) -> int:
    """Begin a span; return the microseconds between spans that had to be joined, as memory is bounded."""
    span = Span(reading.time_us, reading)
    span.advance(reading)
    spans.append(span)
    spans.sort(key=_start)
    if len(spans) <= _MAX_SPANS:
        return 0
    hole_us = gaps_us(spans[:2])
    spans[1].start_us = spans[0].start_us
    del spans[0]
    return hole_us


def gaps_us(spans: list[Span]) -> int:
    """Time between spans, where it is short enough to be of the same life of the run."""
    holes = (later.start_us - span.last.time_us for span, later in pairwise(spans))
    return sum(hole for hole in holes if hole <= MAX_INTERVAL_US)


def _start(span: Span) -> int:
    return span.start_us
