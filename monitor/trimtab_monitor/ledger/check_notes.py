"""What the check of counters against power found: a sentence for all devices with the same finding."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Final

from trimtab_monitor.ledger.stream import Stream

_CHECK_BOUNDS: Final = (0.9, 1.1)
_MOMENTARY_BOUNDS: Final = (0.8, 1.25)
_NAMED: Final = 3
"""A cluster may have thousands of devices: more are counted."""


def check_notes(streams: Iterable[Stream]) -> Iterator[str]:
    """Counters that are off now, that were, and those that were not believed."""
    checked = [stream for stream in streams if stream.check.ratio is not None]
    for is_firm in (True, False):
        off = [each for each in checked if each.check.is_firm is is_firm and _is_off(each)]
        if off:
            yield _off_now(off, is_firm)
    unsound = [each for each in checked if each.check.unsound]
    if unsound:
        yield (
            f"{_counters(unsound)} told less than 0.9 or more than 1.1 times the average power "
            f"{_minutes(unsound, lambda each: each.check.unsound)}"
        )
    unbelieved = [each for each in checked if each.check.by_power]
    if unbelieved:
        yield (
            f"{_counters(unbelieved)} told less than half or more than twice the average power "
            f"{_minutes(unbelieved, lambda each: each.check.by_power)}: not believed, "
            "power counted in its stead"
        )


def _is_off(stream: Stream) -> bool:
    low, high = _CHECK_BOUNDS if stream.check.is_firm else _MOMENTARY_BOUNDS
    return stream.check.ratio is not None and not low <= stream.check.ratio <= high


def _off_now(off: Sequence[Stream], is_firm: bool) -> str:
    ratios = sorted(each.check.ratio for each in off if each.check.ratio is not None)
    doubt = "" if is_firm else ": the counter is wrong, or momentary power does not see the load"
    return (
        f"{_counters(off)} told {_span(ratios, '.2f')} times what power readings add up to, "
        f"in the last minute checked{doubt}"
    )


def _counters(streams: Sequence[Stream]) -> str:
    names = ", ".join(each.uuid for each in streams[:_NAMED])
    if len(streams) == 1:
        return f"{names}: its energy counter"
    more = ", ..." if len(streams) > _NAMED else ""
    return f"{len(streams)} devices ({names}{more}): their energy counters"


def _minutes(streams: Sequence[Stream], count: Callable[[Stream], int]) -> str:
    found, of = (sorted(each) for each in zip(*((count(s), s.check.minutes) for s in streams), strict=True))
    return f"in {_span(found, 'd')} of {_span(of, 'd')} minutes"


def _span(values: Sequence[float], form: str) -> str:
    """The least and the most of sorted values, once if they read alike."""
    least, most = (format(value, form) for value in (values[0], values[-1]))
    return least if least == most else f"{least} to {most}"
