"""What a run's devices draw now, as last read: a gauge, not the ledger."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

from trimtab import wire

STALE_S: Final = 60.0
"""A reading so much older than the newest of all is of a device that is no longer read."""


@dataclass(slots=True)
class LastReading:
    """The last power reading of a device. `time` is Unix seconds of the job's clock."""

    component: str
    time: float
    power_w: float


@dataclass(slots=True)
class PowerNow:
    """The last power reading of every device of a run."""

    devices: dict[str, LastReading] = field(default_factory=dict)

    def add(self, device: wire.Device) -> None:
        """Take in readings of a device."""
        last = next(_powers_backwards(device), None)
        key = f"{device.boot_id}\x1f{device.uuid}\x1f{device.component}"
        known = self.devices.get(key)
        if last is not None and (known is None or known.time <= last.time):
            self.devices[key] = last

    def clear(self) -> None:
        """The run ended: nothing draws power for it."""
        self.devices.clear()

    def by_component(self) -> dict[str, float]:
        """Watts, summed over the devices of each component that are still read."""
        newest = max((reading.time for reading in self.devices.values()), default=0.0)
        watts: dict[str, float] = {}
        for reading in self.devices.values():
            if newest - reading.time <= STALE_S:
                watts[reading.component] = watts.get(reading.component, 0.0) + reading.power_w
        return watts


def _powers_backwards(device: wire.Device) -> Iterator[LastReading]:
    for row in reversed(range(len(device.time))):
        if device.power_w is not None and device.power_w[row] == device.power_w[row]:
            yield LastReading(device.component, device.time[row], device.power_w[row])
