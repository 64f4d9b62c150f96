"""Packages whose counter repeats another's: some CPUs of several dies show each die the energy of all.

Two counters that stand at one number may merely have begun alike. They are one and the same if they still
stand together after they have moved; until then, what the second says is held back.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from trimtab.sensors.rapl_zones import Zone
from trimtab.sensors.reading import Reading


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
        after, start = self.other.count(), self._held[0].energy_counter
        if other is not None and after is not None:
            self.is_mirror = repeats(start, other.energy_counter, reading.energy_counter, after)
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


def repeats(start: int | None, before: int | None, count: int | None, after: int) -> bool | None:
    """Tell whether a counter repeats another, which was read before and after it; None: not to be told yet.

    `start` is where both stood at first.

    >>> repeats(start=100, before=250, count=251, after=252), repeats(100, 250, 180, 252)
    (True, False)
    >>> repeats(start=100, before=100, count=100, after=100)
    """
    if before is None or count is None or before > after:
        return None  # the other wrapped meanwhile
    if not before <= count <= after:
        return False
    return True if count != start else None


def _stand_together(zone: Zone, other: Zone) -> bool:
    if zone.device.counter_range != other.device.counter_range:
        return False
    before, count, after = zone.count(), other.count(), zone.count()
    if before is None or count is None or after is None:
        return False
    return before <= count <= after
