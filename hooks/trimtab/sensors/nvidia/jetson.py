"""NVIDIA's Jetson modules, by the monitor on their supply (INA3221, in Linux's hwmon).

Read is the rail VDD_IN: all that the module draws. Modules without it (AGX Orin) have rails for parts only,
whose sum leaves out what no rail covers: they are not read. The power is momentary: it is read ten times a
second, at random moments. Sources: NVIDIA's Jetson Linux Developer Guide, the kernel's ina3221.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Final

from trimtab.sensors.files import count, text
from trimtab.sensors.reading import DeviceInfo, NoSensor, Probe, Reading, SensorError
from trimtab.sensors.share.cpu_share import ShareOf, all_of_it

HWMON: Final = Path("/sys/class/hwmon")
_MODULE_RAIL: Final = "VDD_IN"
_MONITOR: Final = "ina3221"


class JetsonSensor:
    """Reads the module's supply: voltage times current."""

    name = "jetson"
    scope = "jetson"
    draw_times = True
    period_s: float | None = 0.1

    def __init__(self, label: Path, clock: Callable[[], float], share_of: ShareOf) -> None:
        channel = label.name.removeprefix("in").removesuffix("_label")
        self.device = DeviceInfo(
            uuid=f"jetson:{_MODULE_RAIL}",
            component="module",
            name=f"Jetson module ({_MODULE_RAIL})",
            method="power_instant",
        )
        self._millivolts = label.with_name(f"in{channel}_input")
        self._milliamperes = label.with_name(f"curr{channel}_input")
        self._clock = clock
        self._share_of = share_of

    def read(self) -> list[Reading]:
        """Read the rail once."""
        share = self._share_of()
        time, volts, amperes = self._clock(), count(self._millivolts), count(self._milliamperes)
        if volts is None or amperes is None:
            raise SensorError(
                f"jetson: {self._millivolts} and {self._milliamperes.name} tell no power any more"
            )
        power_w = volts * amperes * 1e-6
        return [Reading(self.device, time, power_w=power_w, used_share=share.used, held_share=share.held)]


def probe(clock: Callable[[], float], share_of: ShareOf = all_of_it, root: Path = HWMON) -> Probe:
    """Look for the rail of the whole module."""
    rails = {text(label): label for label in _labels(root)}
    if _MODULE_RAIL in rails:
        sensor = JetsonSensor(rails[_MODULE_RAIL], clock, share_of)
        return Probe(sensor, (sensor.device,))
    if rails:
        parts = ", ".join(sorted(rails))
        return Probe(
            NoSensor("jetson"), problem=f"no rail for the whole module ({_MODULE_RAIL}), only {parts}"
        )
    return Probe(NoSensor("jetson"), problem="this is no Jetson")


def _labels(root: Path) -> list[Path]:
    monitors = [name.parent for name in root.glob("hwmon*/name") if text(name) == _MONITOR]
    return sorted(label for folder in monitors for label in folder.glob("in[123]_label"))
