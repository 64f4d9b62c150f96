"""A make-believe powercap tree (RAPL), whose counters follow traces of power as real ones would.

Laid out as Linux does: zones in a tree under `intel-rapl`, and each once more, flat, as a link beside it. A
package's counter includes its core and uncore; its dram and the platform (psys) are counted apart, and the
platform overlaps all. Two dies of one package may mirror one counter.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from energy_bench.trace import Trace

_WIDTH: Final = 24
"""Counters are written in place, in a field as wide as any: a reader never sees half of one."""


@dataclass(frozen=True, slots=True)
class Zone:
    """A zone: its place in the tree ("0", or "0:1" for a child), its counter's range and what it follows."""

    place: str
    name: str
    trace: Trace
    share: float = 1.0
    range_uj: int = 262_143_328_850
    initial_uj: int = 100_000_000

    def count(self, at_s: float) -> int:
        """Return the counter at a time of the trace."""
        microjoules = round(self.trace.energy_j(0.0, at_s) * self.share * 1e6)
        return (self.initial_uj + microjoules) % self.range_uj


def packages(trace: Trace, memory: Trace, *, range_uj: int, mirrored: bool = False) -> list[Zone]:
    """One package, its parts, its memory, the platform about it, and a die that mirrors it if wanted."""
    zones = [
        Zone("0", "package-0", trace, range_uj=range_uj),
        Zone("0:0", "core", trace, 0.7, range_uj),
        Zone("0:1", "uncore", trace, 0.1, range_uj),
        Zone("0:2", "dram", memory, range_uj=range_uj, initial_uj=50_000_000),
        Zone("1", "psys", trace, 1.5, range_uj, initial_uj=70_000_000),
    ]
    return [*zones, Zone("2", "package-0-die-1", trace, range_uj=range_uj)] if mirrored else zones


class PowercapTree:
    """The files, under `root`, which stands for /sys/class/powercap; their counters are set by `set`."""

    def __init__(self, root: Path, zones: Sequence[Zone]) -> None:
        self.root = root
        self.zones = tuple(zones)
        self._files = [self._make(zone) for zone in self.zones]
        self.set(0.0)

    def set(self, at_s: float) -> None:
        """Write every counter as it stands at a time of the traces."""
        for zone, file in zip(self.zones, self._files, strict=True):
            os.pwrite(file, f"{zone.count(at_s):<{_WIDTH}}\n".encode(), 0)

    def close(self) -> None:
        """Let go of the files."""
        for file in self._files:
            os.close(file)

    def _make(self, zone: Zone) -> int:
        base = self.root / "intel-rapl"
        package = f"intel-rapl:{zone.place.partition(':')[0]}"
        folder = base / package if ":" not in zone.place else base / package / f"intel-rapl:{zone.place}"
        folder.mkdir(parents=True)
        (folder / "name").write_text(f"{zone.name}\n")
        (folder / "max_energy_range_uj").write_text(f"{zone.range_uj}\n")
        (self.root / f"intel-rapl:{zone.place}").symlink_to(folder.relative_to(self.root))
        subsystem = base / "subsystem"
        if not subsystem.is_symlink():
            subsystem.symlink_to("..")
        return os.open(folder / "energy_uj", os.O_RDWR | os.O_CREAT, 0o644)


class Writer:
    """Renews a tree's counters every few milliseconds of the real clock, in a thread, until stopped."""

    def __init__(self, tree: PowercapTree, now_s: Callable[[], float], every_s: float = 0.004) -> None:
        self._tree = tree
        self._now_s = now_s
        self._every_s = every_s
        self._stopped = threading.Event()
        self._thread = threading.Thread(target=self._write, daemon=True)

    def __enter__(self) -> None:
        self._thread.start()

    def __exit__(self, *_: object) -> None:
        self._stopped.set()
        self._thread.join()

    def _write(self) -> None:
        while not self._stopped.wait(self._every_s):
            self._tree.set(self._now_s())
