"""One raw reading of a device, and how a column of them is taken apart."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, fields
from itertools import pairwise
from typing import Final, NamedTuple

from trimtab import wire
from trimtab_monitor.ledger.power import PowerField, believed, idle_below_w, most_w, seen_share
from trimtab_monitor.ledger.units import micros

POWER_METHODS: Final = frozenset(("power_average", "power_instant", "model", "constant"))
LATEST_S: Final = 100_000_000_000
"""Beyond this (the year 5138) a time is an error, and microseconds would outgrow 64 bits."""

_LEAST_AVERAGE_S: Final = 0.5
_LONGEST_WINDOW_S: Final = 3_600.0


class Reading(NamedTuple):
    """Power and energy counter of a device at one moment; None is not measured, or not believed."""

    time_us: int
    power_w: float | None = None
    counter: int | None = None

    @property
    def has_value(self) -> bool:
        """Whether it says anything about energy."""
        return self.power_w is not None or self.counter is not None


@dataclass(slots=True)
class Counts:
    """What happened to the readings of a device, so that nothing is left out in silence.

    `readings` came in; `late` lay in time already counted (twice sent, out of order, clock set back) and
    `rejected` were nonsense: both were left out. `missing` had no value where others had. A `jump` is an hour
    or more without a reading, of which nothing is said; `clocks` counts starts of the run that its readings
    contradict.
    """

    readings: int = 0
    late: int = 0
    rejected: int = 0
    missing: int = 0
    wraps: int = 0
    resets: int = 0
    ambiguous_wraps: int = 0
    doubtful_resets: int = 0
    jumps: int = 0
    clocks: int = 0

    def add(self, other: Counts) -> None:
        """Add another device's counts to these."""
        for field in fields(self):
            setattr(self, field.name, getattr(self, field.name) + getattr(other, field.name))


def is_node_meter(component: str, method: str) -> bool:
    """Whether a whole node is metered (psys, a power supply): it covers the node's parts again.

    A model of the host is no meter: it stands for those parts that nothing measures.
    """
    return component == "host" and method not in ("model", "constant")


def uses_counter(device: wire.Device) -> bool:
    """Whether the device's energy is to be read off its counter."""
    return (
        device.energy_counter is not None
        and device.counter_unit_j is not None
        and device.method not in POWER_METHODS
    )


def power_method(device: wire.Device) -> str:
    """How its power is to be integrated, where there is no counter.

    Power beside a counter is an average if its window says so, else momentary; a method never heard of is
    taken for a model: the lesser claim.
    """
    if device.method in POWER_METHODS:
        return device.method
    if device.method != "counter" and not uses_counter(device):
        return "model"
    window_s, update_s = device.power_window_s or 0.0, device.power_update_s or 0.0
    return "power_average" if window_s >= max(_LEAST_AVERAGE_S, update_s) else "power_instant"


def power_field(device: wire.Device) -> PowerField:
    """What its power readings are."""
    method, window_s = power_method(device), device.power_window_s
    has_window = window_s is not None and 0 < window_s <= _LONGEST_WINDOW_S
    window_us = micros(window_s) if window_s is not None and has_window else None
    if window_us is None and method == "power_instant":
        window_us = 0
    update_s = device.power_update_s
    update_us = micros(update_s) if update_s is not None and 0 < update_s <= _LONGEST_WINDOW_S else 0
    return PowerField(
        method,
        window_us,
        seen_share(device.component, method, window_s, update_s),
        most_w(device.component, device.power_limit_w),
        idle_below_w(device.component, device.power_limit_w),
        update_us,
    )


def readings(device: wire.Device, counts: Counts) -> Iterator[Reading]:
    """Its rows in order of time, nonsense taken out and counted."""
    counters = device.energy_counter if uses_counter(device) else None
    for row in _in_order(device.time, counters):
        time = device.time[row]
        counts.readings += 1
        if not 0 <= time <= LATEST_S:
            counts.rejected += 1
            continue
        power_w = _power(device, row, counts)
        counter = None if counters is None or counters[row] == wire.NO_COUNTER else counters[row]
        yield Reading(micros(time), power_w, counter)


def _in_order(times: Sequence[float], counters: Sequence[int] | None) -> Sequence[int]:
    """The rows by time; as they came where only so the counter rises: then the clock was set back."""
    rows = range(len(times))
    if all(earlier <= later for earlier, later in pairwise(times)):
        return rows
    by_time = sorted(rows, key=times.__getitem__)
    if counters is None:
        return by_time
    counted = [counters[row] for row in by_time if counters[row] != wire.NO_COUNTER]
    return by_time if all(earlier <= later for earlier, later in pairwise(counted)) else rows


def _power(device: wire.Device, row: int, counts: Counts) -> float | None:
    if device.power_w is None or not wire.is_measured(device.power_w[row]):
        return None
    util = device.util[row] if device.util is not None else None
    power_w = believed(device.power_w[row], device.component, util, device.power_limit_w)
    counts.rejected += power_w is None
    return power_w
