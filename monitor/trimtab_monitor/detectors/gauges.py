"""What each GPU of a run draws, does and how hot it is, averaged over windows of some seconds."""

from __future__ import annotations

from array import array
from dataclasses import dataclass, field
from typing import Final

from trimtab import wire

GAUGES: Final = ("power_w", "util", "temp_c")
PLAUSIBLE: Final = ((1e-3, 1e5), (0.0, 1.0), (-50.0, 250.0))
"""What a reading may be, of each gauge: watts, 0 to 1, degrees Celsius."""

MAX_DEVICES: Final = 1024
"""So many devices are followed, the first that are heard of; others are passed over."""

WINDOWS_SILENT: Final = 30
"""A device that was not read in so many windows is forgotten."""

Vector = tuple[float | None, float | None, float | None]
"""Power in watts, utilisation 0 to 1, temperature in degrees Celsius; none where it was not measured."""


@dataclass(slots=True)
class Gauge:
    """One device: sums and counts of the window under way, `means` those of the last one with readings."""

    host: str
    uuid: str
    name: str
    sums: list[float] = field(default_factory=lambda: [0.0, 0.0, 0.0])
    counts: list[int] = field(default_factory=lambda: [0, 0, 0])
    means: Vector = (None, None, None)
    silent: int = 0

    def add(self, device: wire.Device) -> None:
        """Take in readings; what cannot be is passed over."""
        columns = (device.power_w, device.util, device.temp_c)
        for index, (column, (least, most)) in enumerate(zip(columns, PLAUSIBLE, strict=True)):
            kept = _plausible(column, least, most)
            self.sums[index] += sum(kept)
            self.counts[index] += len(kept)

    def close(self) -> bool:
        """End the window; False if nothing was read in it."""
        read = any(self.counts)
        if read:
            power, util, temp = (
                total / count if count else None for total, count in zip(self.sums, self.counts, strict=True)
            )
            self.means = power, util, temp
            self.sums, self.counts = [0.0, 0.0, 0.0], [0, 0, 0]
        self.silent = 0 if read else self.silent + 1
        return read


def _plausible(column: array[float] | None, least: float, most: float) -> list[float]:
    return [] if column is None else [value for value in column if least <= value <= most]


@dataclass(slots=True)
class Gauges:
    """The GPUs of a run. `began` is when the window under way began, Unix seconds of the collector's clock.

    Windows are of when readings were received: clocks of hosts differ, and one that is wrong by an hour must
    not silence the others.
    """

    devices: dict[str, Gauge] = field(default_factory=dict)
    began: float = 0.0

    def add(self, device: wire.Device) -> None:
        """Take in readings of a device; other components than GPUs are not compared."""
        if device.component != "gpu":
            return
        key = f"{device.host}\x1f{device.uuid}"
        gauge = self.devices.get(key)
        if gauge is None:
            if len(self.devices) >= MAX_DEVICES:
                return
            gauge = self.devices[key] = Gauge(device.host, device.uuid, device.name)
        gauge.add(device)

    def close(self, now: float, seconds: float) -> dict[str, Vector]:
        """End the window if it is so old; return the means of the devices that were read in it."""
        if self.began <= now < self.began + seconds:
            return {}
        first, self.began = self.began == 0.0, now
        if first:
            return {}
        means = {key: gauge.means for key, gauge in self.devices.items() if gauge.close()}
        for key in [key for key, gauge in self.devices.items() if gauge.silent > WINDOWS_SILENT]:
            del self.devices[key]
        return means
