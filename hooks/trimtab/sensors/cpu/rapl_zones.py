"""The zones of the powercap tree that are counted: packages, and the memory of each.

Source: the kernel's documentation of powercap and of its files in sysfs (sysfs-class-powercap).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from trimtab.sensors import files
from trimtab.sensors.reading import DeviceInfo
from trimtab.vocabulary import Component

_JOULES_PER_COUNT: Final = 1e-6
_BY_REGISTER: Final = "intel-rapl"
_BY_MEMORY: Final = "intel-rapl-mmio"


@dataclass(frozen=True, slots=True)
class Zone:
    """One counter of the tree."""

    device: DeviceInfo
    counter: Path

    def count(self) -> int | None:
        """Return microjoules, None if they cannot be read."""
        return files.count(self.counter)


def zones(root: Path) -> list[Zone]:
    """Return the zones under `root` that are counted, packages in order of their numbers."""
    found = list(_zones(root, _BY_REGISTER)) or list(_zones(root, _BY_MEMORY))
    return sorted(found, key=lambda zone: zone.device.uuid)


def is_masked(root: Path) -> bool:
    """Tell whether zones are listed, but nothing is behind them: a container hides what they point to."""
    listed = list(root.glob(f"{_BY_REGISTER}:*"))
    return bool(listed) and not any(folder.exists() for folder in listed)


def _zones(root: Path, kind: str) -> Iterator[Zone]:
    """Yield the zones of one kind; the tree lists each twice, flat and under its package."""
    found = [*root.glob(f"{kind}:*/{kind}:*"), *root.glob(f"{kind}:*")]
    for folder in {path.name: path for path in found}.values():
        zone_name = files.text(folder / "name")
        component = _component(zone_name)
        counter = folder / "energy_uj"
        if component is not None and counter.exists():
            yield Zone(_device(folder, zone_name, component), counter)


def _component(zone_name: str) -> Component | None:
    if zone_name.startswith("package"):
        return "package"
    return "dram" if zone_name == "dram" else None


def _device(folder: Path, zone_name: str, component: Component) -> DeviceInfo:
    return DeviceInfo(
        uuid=f"rapl:{zone_name}:{folder.name.partition(':')[2]}",
        component=component,
        name=f"CPU {zone_name}",
        method="counter",
        counter_unit_j=_JOULES_PER_COUNT,
        counter_range=files.count(folder / "max_energy_range_uj"),
    )
