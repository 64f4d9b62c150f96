"""Time of the run that no reading of a device tells of: between its spans, and since the last of them.

Late readings may still fill it.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from itertools import pairwise
from typing import Final

from trimtab_monitor.ledger.edges import Edges
from trimtab_monitor.ledger.gauge import Gauge
from trimtab_monitor.ledger.power import MAX_INTERVAL_US
from trimtab_monitor.ledger.reading import LATEST_S, Reading
from trimtab_monitor.ledger.spans import Span, read_us
from trimtab_monitor.ledger.tally import Entry
from trimtab_monitor.ledger.units import MINUTE_US, SECOND_US

_LAG_US: Final = MINUTE_US
"""So far apart batches of several ranks may be: only what lacks for longer is a device that went away."""


def leaves_a_hole(span: Span, reading: Reading, gauge: Gauge) -> bool:
    """Whether nothing tells of the time from a span to a reading, so that late readings may."""
    if span.counter is not None or reading.counter is not None:
        return False
    has_values = span.last.has_value and reading.has_value
    return has_values and gauge.is_far(reading.time_us - span.last.time_us)


def holes_between(spans: Sequence[Span], edges: Edges, gauge: Gauge) -> Iterator[Entry]:
    """Time of the run between spans: nothing is known of it."""
    for span, later in pairwise(spans):
        start_us = max(span.last.time_us, edges.begin_us or 0)
        end_us = later.start_us if edges.end_us is None else min(later.start_us, edges.end_us)
        if later.start_us - span.last.time_us <= MAX_INTERVAL_US and start_us < end_us:
            yield gauge.gap(start_us, end_us, gauge.neighbours_w(span.last, later.first))


def hole_since(
    latest: Span, host: Sequence[Span], gauge: Gauge, empty_us: int, edges_us: Iterable[int]
) -> Iterator[Entry]:
    """Time since its last reading in which it gave no value, as far as that is not told yet.

    Args:
        latest: its last span.
        host: the covered time of the device of its host that was read for longest.
        gauge: what is known of it.
        empty_us: when it was read last without any value.
        edges_us: where the run ended, or went on without it.
    """
    last_us, until_us = latest.last.time_us, min(edges_us, default=LATEST_S * SECOND_US)
    unread_us = min(empty_us, until_us) - last_us
    others_us = read_us(host, last_us, until_us)
    silent_us = max(unread_us if gauge.is_far(unread_us) else 0, others_us if others_us > _LAG_US else 0)
    if silent_us:
        yield gauge.gap(0, silent_us, gauge.rate_w)
