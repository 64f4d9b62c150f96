"""A counter that comes back from an outage has the last word over all of it."""

from __future__ import annotations

from itertools import accumulate

from trimtab_monitor.ledger.power import Estimate
from trimtab_monitor.ledger.spans import Span
from trimtab_monitor.ledger.tally import Entry, Tally


def filled_uj(span: Span) -> int:
    """What was told while the counter is away."""
    return sum(each.amount.energy_uj for each in span.fills)


def settled(span: Span, told: Entry, by_power: Estimate | None) -> list[Entry]:
    """The counter's word over an outage in place of what was told meanwhile, spread as that was."""
    if not span.fills:
        return [told]
    weights = [each.amount.energy_uj + each.amount.estimated_uj for each in span.fills]
    weights.append(0 if by_power is None else by_power.energy_uj)
    last_us = told.end_us - span.last.time_us
    times_us = [each.amount.measured_us + each.amount.gap_us for each in span.fills] + [last_us]
    bounds = [0, *accumulate(weights if any(weights) else times_us)]
    extents = [(each.start_us, each.end_us) for each in span.fills] + [(span.last.time_us, told.end_us)]
    told_anew = [each.taken_back() for each in span.fills]
    for extent, time_us, low, high in zip(extents, times_us, bounds[:-1], bounds[1:], strict=True):
        told_anew.append(Entry(*extent, told.method, _part(told.amount, time_us, low, high, bounds[-1])))
    last = told_anew[-1]
    last.start_w, last.end_w, last.most_w = told.start_w, told.end_w, told.most_w
    gap = last.amount
    gap.measured_us, gap.gap_us = gap.measured_us - told.amount.gap_us, told.amount.gap_us
    gap.estimated_uj, gap.estimated_high_uj = told.amount.estimated_uj, told.amount.estimated_high_uj
    return told_anew


def _part(amount: Tally, time_us: int, low: int, high: int, whole: int) -> Tally:
    parts = (amount.energy_uj, amount.low_uj, amount.high_uj)
    energy_uj, low_uj, high_uj = (each * high // whole - each * low // whole for each in parts)
    return Tally(energy_uj, low_uj, high_uj, time_us)
