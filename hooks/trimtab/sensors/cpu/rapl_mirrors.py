"""Packages whose counter repeats another's: some CPUs of several dies show each die the energy of all.

Two counters that stand at one number may merely have begun alike. They are one and the same if they still
stand together after they have moved; until then, what the second says is held back. They need not be equal to
the last count: they are read one after the other, and each is renewed at its own moments.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from trimtab.sensors.cpu.rapl_zones import Zone
from trimtab.sensors.reading import Reading

CLOSE_UJ: Final = 2_000_000
"""Apart by no more than this, two counters stand together: a package of 500 W draws as much in 4 ms."""
MOVED_UJ: Final = 100_000_000
"""They have moved by this: two packages that began alike and differ by 2 % are told apart."""
_UNBOUNDED: Final = 2**63


@dataclass(slots=True)
class Suspect:
    """A package that stood where `other` stood when it was first read; `is_mirror` is None while in doubt."""

    zone: Zone
    other: Zone
    is_mirror: bool | None = None
    _held: list[Reading] = field(default_factory=list)

    def judge(self, other: Reading | None, reading: Reading) -> list[Reading]:
        """Take in a reading of the package, made after `other`; return what may be told of it now."""
        self._held = [*self._held[:1], reading]
        start, after = self._held[0].energy_counter, self.other.count()
        before, count = other.energy_counter if other else None, reading.energy_counter
        if start is not None and before is not None and count is not None and after is not None:
            self.is_mirror = repeats(start, before, count, after, self.zone.device.counter_range)
        return self._held if self.is_mirror is False else []


def suspects(found: list[Zone]) -> list[Suspect]:
    """Return each package that stands where another before it stands, with that other."""
    doubted: list[Suspect] = []
    originals: list[Zone] = []
    for zone in found:
        if zone.device.component == "package":
            other = next((each for each in originals if _stand_together(each, zone)), None)
            if other is None:
                originals.append(zone)
            else:
                doubted.append(Suspect(zone, other))
    return doubted


def repeats(start: int, before: int, count: int, after: int, range_: int | None = None) -> bool | None:
    """Tell whether a counter repeats another, which was read before and after it; None: not to be told yet.

    `start` is where it stood at first; both wrap at `range_`. All in microjoules.

    >>> repeats(0, 250_000_000, 251_000_000, 252_000_000), repeats(0, 250_000_000, 180_000_000, 252_000_000)
    (True, False)
    >>> repeats(0, 5_000_000, 5_000_000, 5_000_000)
    """
    range_ = range_ or _UNBOUNDED
    ahead = (count - before + range_ // 2) % range_ - range_ // 2
    if not -CLOSE_UJ <= ahead <= (after - before) % range_ + CLOSE_UJ:
        return False
    return True if (count - start) % range_ >= MOVED_UJ else None


def _stand_together(zone: Zone, other: Zone) -> bool:
    if zone.device.counter_range != other.device.counter_range:
        return False
    before, count, after = zone.count(), other.count(), zone.count()
    if before is None or count is None or after is None:
        return False
    return repeats(count, before, count, after, zone.device.counter_range) is None
