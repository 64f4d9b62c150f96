"""Energy counters of CPU packages and their memory, from the Linux powercap tree (RAPL; Intel and AMD).

Counted are the package zones and the dram zones, which come on top of the packages. Left out are core and
uncore (parts of a package), psys (the platform, which overlaps the package), the intel-rapl-mmio tree where
there is the other (the same package by another way), and dies that mirror another's counter. AMD's packages
are in the same tree, without dram. A counter of 32 bits wraps after some minutes: one reading a second sees
every wrap.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final

from trimtab.sensors.cpu.rapl_mirrors import suspects
from trimtab.sensors.cpu.rapl_zones import Zone, is_masked, zones
from trimtab.sensors.reading import DeviceInfo, NoSensor, Probe, Reading, SensorError, TellOnce
from trimtab.sensors.share.cpu_share import ShareOf, all_of_it

POWERCAP: Final = Path("/sys/class/powercap")
_MASKED_REMEDY: Final = (
    "give the container the host's tree (docker run -v /sys/devices/virtual/powercap:/powercap:ro) and set "
    "TRIMTAB_POWERCAP=/powercap/intel-rapl"
)


class RaplSensor:
    """Reads the energy counter of each zone; one that fails is told once, and read again where it answers."""

    name = "rapl"
    scope = "rapl"
    draw_times = False
    period_s: float | None = None

    def __init__(
        self, found: list[Zone], clock: Callable[[], float], share_of: ShareOf = all_of_it, remedy: str = ""
    ) -> None:
        self._zones = found
        self._suspects = suspects(found)
        self._clock = clock
        self._share_of = share_of
        self._remedy = remedy
        self._tell = TellOnce()

    def read(self) -> list[Reading]:
        """Read every zone once."""
        share = self._share_of()
        readings: dict[DeviceInfo, Reading] = {}
        for zone in self._zones:
            time, count = self._clock(), zone.count()
            if count is None:
                self._tell(zone.device.uuid, f"{zone.counter}: cannot be read; {self._remedy}")
                continue
            readings[zone.device] = Reading(
                zone.device, time, energy_counter=count, used_share=share.used, held_share=share.held
            )
        if not readings:
            raise SensorError(f"rapl: none of {len(self._zones)} zones can be read any more; {self._remedy}")
        return self._without_mirrors(readings)

    def doubts(self) -> str | None:
        """Name the packages that may repeat another's energy."""
        pairs = [
            f"{each.zone.device.name} stands where {each.other.device.name} does" for each in self._suspects
        ]
        return f"{', '.join(pairs)}: left out if it repeats it" if pairs else None

    def _without_mirrors(self, readings: dict[DeviceInfo, Reading]) -> list[Reading]:
        told: list[Reading] = []
        for suspect in self._suspects:
            reading = readings.pop(suspect.zone.device, None)
            if reading is not None:
                told += suspect.judge(readings.get(suspect.other.device), reading)
        mirrors = [suspect.zone for suspect in self._suspects if suspect.is_mirror]
        self._zones = [zone for zone in self._zones if zone not in mirrors]
        self._suspects = [suspect for suspect in self._suspects if suspect.is_mirror is None]
        return [*readings.values(), *told]


def probe(
    clock: Callable[[], float],
    share_of: ShareOf = all_of_it,
    root: Path | None = None,
    environ: Mapping[str, str] = os.environ,
) -> Probe:
    """Look for the package and dram zones that this user may read.

    They are looked for under `root`, else where TRIMTAB_POWERCAP says (a container may have the host's tree
    in another place), else where Linux has them.
    """
    root = root or Path(environ.get("TRIMTAB_POWERCAP") or POWERCAP)
    found = zones(root)
    if not found:
        return _nothing(root)
    locked = [zone for zone in found if zone.count() is None]
    remedy = _remedy(root)
    sensor = RaplSensor(found, clock, share_of, remedy)
    if not locked:
        return Probe(sensor, tuple(zone.device for zone in found), sensor.doubts())
    readable = tuple(zone.device for zone in found if zone not in locked)
    problem = f"{locked[0].counter}: not readable by this user"
    return Probe(sensor if readable else NoSensor("rapl"), readable, problem, remedy, hidden=True)


def _nothing(root: Path) -> Probe:
    if is_masked(root):
        problem = f"{root}: its zones lead nowhere: this container hides them"
        return Probe(NoSensor("rapl"), (), problem, _MASKED_REMEDY, hidden=True)
    why = f"{root}: no package zone: this CPU has no RAPL, or the machine is virtual"
    return Probe(NoSensor("rapl"), problem=why)


def _remedy(root: Path) -> str:
    rule = 'SUBSYSTEM=="powercap", ACTION=="add", RUN+="/bin/chmod a+r %S%p/energy_uj"'
    return (
        f"sudo chmod a+r {root}/intel-rapl:*/energy_uj (until the next boot), or for good put this line into "
        f"/etc/udev/rules.d/70-rapl.rules: {rule}"
    )
