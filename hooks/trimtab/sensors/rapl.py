"""Energy counters of CPU packages and their memory, from the Linux powercap tree (RAPL; Intel and AMD).

Counted are the package zones and the dram zones, which come on top of the packages. Left out are core and
uncore (parts of a package), psys (the platform, which overlaps the package), the intel-rapl-mmio tree (the
same package by another way), and dies that mirror another's counter.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from trimtab.sensors.reading import DeviceInfo, NoSensor, Probe, Reading, SensorError, TellOnce
from trimtab.vocabulary import Component

POWERCAP: Final = Path("/sys/class/powercap")
_JOULES_PER_COUNT: Final = 1e-6


@dataclass(frozen=True, slots=True)
class _Zone:
    device: DeviceInfo
    counter: Path

    def count(self) -> int:
        return int(self.counter.read_text())


class RaplSensor:
    """Reads the energy counter of each zone; a zone that fails is told once and left out."""

    name = "rapl"
    scope = "rapl"
    draw_times = False

    def __init__(self, zones: list[_Zone], clock: Callable[[], float]) -> None:
        self._zones = zones
        self._clock = clock
        self._tell = TellOnce()

    def read(self) -> list[Reading]:
        """Read every zone once."""
        readings: list[Reading] = []
        for zone in self._zones:
            try:
                readings.append(Reading(zone.device, self._clock(), energy_counter=zone.count()))
            except (OSError, ValueError) as error:
                self._tell(zone.device.uuid, f"cannot be read any more: {error}")
        if not readings:
            raise SensorError(f"rapl: none of {len(self._zones)} zones can be read any more")
        return readings


def probe(clock: Callable[[], float], root: Path = POWERCAP) -> Probe:
    """Look for the package and dram zones under `root` that this user may read."""
    zones = sorted(_zones(root), key=lambda zone: zone.device.uuid)
    if not zones:
        why = f"{root}: no package zone: this CPU has no RAPL, or the machine is virtual"
        return Probe(NoSensor("rapl"), problem=why)
    locked = [zone for zone in zones if not _is_readable(zone)]
    readable = _without_mirrors([zone for zone in zones if zone not in locked])
    devices = tuple(zone.device for zone in readable)
    problem = f"{locked[0].counter}: not readable by this user" if locked else None
    sensor = RaplSensor(readable, clock) if readable else NoSensor("rapl")
    return Probe(sensor, devices, problem, _remedy(root) if locked else None)


def _zones(root: Path) -> Iterator[_Zone]:
    """Yield the zones that are counted; the tree lists each twice, flat and under its package."""
    found = [*root.glob("intel-rapl:*/intel-rapl:*"), *root.glob("intel-rapl:*")]
    folders = {path.name: path for path in found}
    for folder in folders.values():
        zone_name = _text(folder / "name")
        component = _component(zone_name)
        counter = folder / "energy_uj"
        if component is not None and counter.exists():
            yield _Zone(_device(folder, zone_name, component), counter)


def _component(zone_name: str) -> Component | None:
    if zone_name.startswith("package"):
        return "package"
    return "dram" if zone_name == "dram" else None


def _device(folder: Path, zone_name: str, component: Component) -> DeviceInfo:
    counter_range = _text(folder / "max_energy_range_uj")
    return DeviceInfo(
        uuid=f"rapl:{zone_name}:{folder.name.partition(':')[2]}",
        component=component,
        name=f"CPU {zone_name}",
        method="counter",
        counter_unit_j=_JOULES_PER_COUNT,
        counter_range=int(counter_range) if counter_range.isdigit() else None,
    )


def _is_readable(zone: _Zone) -> bool:
    try:
        zone.count()
    except (OSError, ValueError):
        return False
    return True


def _without_mirrors(zones: list[_Zone]) -> list[_Zone]:
    """Leave out each package whose counter stands where another's does: its die repeats that one's energy."""
    kept: list[_Zone] = []
    for zone in zones:
        packages = [other for other in kept if other.device.component == zone.device.component == "package"]
        if not any(_is_mirror(zone, other) for other in packages):
            kept.append(zone)
    return kept


def _is_mirror(zone: _Zone, other: _Zone) -> bool:
    before, count, after = other.count(), zone.count(), other.count()
    return 0 < before <= count <= after


def _remedy(root: Path) -> str:
    rule = 'SUBSYSTEM=="powercap", ACTION=="add", RUN+="/bin/chmod a+r %S%p/energy_uj"'
    return (
        f"sudo chmod a+r {root}/intel-rapl:*/energy_uj (until the next boot), or for good put this line into "
        f"/etc/udev/rules.d/70-rapl.rules: {rule}"
    )


def _text(path: Path) -> str:
    try:
        return path.read_text().strip()
    except OSError:
        return ""
