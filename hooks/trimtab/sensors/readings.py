"""Readings of devices gathered into columns, bounded."""

from __future__ import annotations

import threading
from array import array
from collections import deque
from collections.abc import Iterable, Sequence
from itertools import groupby
from operator import attrgetter
from typing import Final

from trimtab.sensors.reading import DeviceInfo, Reading
from trimtab.vocabulary import NO_COUNTER, NOT_MEASURED, Device

CAPACITY: Final = 600
"""Readings kept for each device: ten minutes at one a second."""


class Readings:
    """Holds what has been read until it is drained; the oldest of a device are dropped first, and counted."""

    def __init__(self, host: str, boot_id: str, capacity: int = CAPACITY) -> None:
        self._host = host
        self._boot_id = boot_id
        self._capacity = capacity
        self._lock = threading.Lock()
        self._held: dict[str, deque[Reading]] = {}
        self.dropped = 0

    def add(self, readings: Iterable[Reading]) -> None:
        """Take in readings."""
        with self._lock:
            for reading in readings:
                held = self._held.setdefault(reading.device.uuid, deque(maxlen=self._capacity))
                self.dropped += len(held) == self._capacity
                held.append(reading)

    def drain(self) -> list[Device]:
        """Return all that is held, and forget it: one entry a device, more where it came to be another.

        A counter that goes away makes a device of another method; the order of its readings is kept.
        """
        with self._lock:
            held, self._held = self._held, {}
        return [
            self._columns(device, list(rows))
            for of_one in held.values()
            for device, rows in groupby(of_one, attrgetter("device"))
        ]

    def _columns(self, device: DeviceInfo, rows: Sequence[Reading]) -> Device:
        return Device(
            host=self._host,
            boot_id=self._boot_id,
            uuid=device.uuid,
            component=device.component,
            name=device.name,
            method=device.method,
            time=array("d", [row.time for row in rows]),
            power_w=_floats([row.power_w for row in rows]),
            energy_counter=_counts([row.energy_counter for row in rows]),
            counter_unit_j=device.counter_unit_j,
            counter_range=device.counter_range,
            util=_floats([row.util for row in rows]),
            mem_used_bytes=_floats([row.mem_used_bytes for row in rows]),
            temp_c=_floats([row.temp_c for row in rows]),
            used_share=_floats([row.used_share for row in rows]),
            held_share=_floats([row.held_share for row in rows]),
            power_limit_w=device.power_limit_w,
            power_window_s=device.power_window_s,
            power_update_s=device.power_update_s,
            gauges=_gauges(rows),
        )


def _floats(column: Sequence[float | None]) -> array[float] | None:
    if all(value is None for value in column):
        return None
    return array("d", [NOT_MEASURED if value is None else value for value in column])


def _counts(column: Sequence[int | None]) -> array[int] | None:
    if all(value is None for value in column):
        return None
    return array("q", [NO_COUNTER if value is None else value for value in column])


def _gauges(rows: Sequence[Reading]) -> dict[str, array[float]]:
    names = dict.fromkeys(name for row in rows for name in row.gauges)
    return {name: array("d", [row.gauges.get(name, NOT_MEASURED) for row in rows]) for name in names}
