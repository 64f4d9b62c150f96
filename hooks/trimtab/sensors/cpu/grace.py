"""NVIDIA's Grace CPUs and Grace Hopper modules, by the power meters that Linux has of them (hwmon).

A module's meter covers CPU, GPU and both memories; a Grace meter the CPU's socket with its memory and I/O.
The two overlap, and a module's overlaps the GPU: the module is read only where no GPU is, and neither where a
counter of NVML covers the module. The other meters (CPU, SysIO) are parts of Grace's. Source: NVIDIA's Grace
Performance Tuning Guide, power telemetry; the kernel's acpi_power_meter.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Set
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from trimtab.sensors.files import count, text
from trimtab.sensors.reading import DeviceInfo, NoSensor, Probe, Reading, SensorError, TellOnce
from trimtab.sensors.share.cpu_share import ShareOf, all_of_it
from trimtab.vocabulary import Component

HWMON: Final = Path("/sys/class/hwmon")
_LABEL: Final = re.compile(r"(?P<part>Module|Grace) Power Socket (?P<socket>\d+)")
_AVERAGED_S: Final = 1.0
"""A meter that averages over less leaves out part of each second: it is read often, at random moments."""
_OFTEN_S: Final = 0.1


@dataclass(frozen=True, slots=True)
class _Meter:
    device: DeviceInfo
    power: Path


class GraceSensor:
    """Reads the meter of each socket; one that fails is told once."""

    name = "grace"
    scope = "grace"

    def __init__(self, meters: list[_Meter], clock: Callable[[], float], share_of: ShareOf) -> None:
        self.draw_times = any(meter.device.method == "power_instant" for meter in meters)
        self.period_s: float | None = _OFTEN_S if self.draw_times else None
        self._meters = meters
        self._clock = clock
        self._share_of = share_of
        self._tell = TellOnce()

    def read(self) -> list[Reading]:
        """Read every meter once."""
        share = self._share_of()
        readings: list[Reading] = []
        for meter in self._meters:
            time, power_uw = self._clock(), count(meter.power)
            if power_uw is None:
                self._tell(meter.device.uuid, f"{meter.power}: cannot be read any more")
                continue
            readings.append(
                Reading(
                    meter.device, time, power_w=power_uw * 1e-6, used_share=share.used, held_share=share.held
                )
            )
        if not readings:
            raise SensorError(f"grace: none of {len(self._meters)} power meters can be read any more")
        return readings


def probe(
    clock: Callable[[], float],
    covered: Set[Component] = frozenset(),
    share_of: ShareOf = all_of_it,
    root: Path = HWMON,
) -> Probe:
    """Look for the meters; `covered` is what other sensors measure."""
    meters = _meters(root, "Grace" if "gpu" in covered else "Module") or _meters(root, "Grace")
    if not meters:
        return Probe(NoSensor("grace"), problem="this is no Grace CPU, or its power meters are not shown")
    devices = tuple(meter.device for meter in meters)
    return Probe(GraceSensor(meters, clock, share_of), devices)


def _meters(root: Path, part: str) -> list[_Meter]:
    """Return the meters of one part, one a socket."""
    found: dict[str, _Meter] = {}
    for info in sorted([*root.glob("hwmon*/device/power*_oem_info"), *root.glob("hwmon*/power*_oem_info")]):
        label = _LABEL.fullmatch(text(info))
        power = info.with_name(info.name.replace("oem_info", "average"))
        if label and label["part"] == part and power.exists():
            found.setdefault(label["socket"], _Meter(_device(label, info), power))
    return [found[socket] for socket in sorted(found, key=int)]


def _device(label: re.Match[str], info: Path) -> DeviceInfo:
    interval_ms = count(info.with_name(info.name.replace("oem_info", "average_interval")))
    window_s = interval_ms * 1e-3 if interval_ms else None
    is_module = label["part"] == "Module"
    averaged = window_s is not None and window_s >= _AVERAGED_S
    return DeviceInfo(
        uuid=f"grace:{label['part'].lower()}:{label['socket']}",
        component="module" if is_module else "package",
        name=f"Grace Hopper module {label['socket']}" if is_module else f"Grace CPU {label['socket']}",
        method="power_average" if averaged else "power_instant",
        power_window_s=window_s,
    )
