"""Devices that are read no more while others of their host are: a gap at once, not when the run ends."""

from __future__ import annotations

from collections.abc import Iterable

from trimtab_monitor.ledger.spans import Span, read_us
from trimtab_monitor.ledger.stream import Stream


def longest_read(streams: Iterable[Stream]) -> dict[str, list[Span]]:
    """By boot id the covered time of the device that was read for longest: so long its host was at work."""
    longest: dict[str, list[Span]] = {}
    for stream in streams:
        known = longest.get(stream.boot_id)
        if known is None or read_us(known) < read_us(stream.spans):
            longest[stream.boot_id] = stream.spans
    return longest
