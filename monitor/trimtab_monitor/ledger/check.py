"""A counter held against power, minute by minute: one that goes wrong is not believed.

Only power that shows all the time (an average over the time between readings) can prove a counter wrong;
momentary power that tells half or twice as much widens the interval, no more.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

from trimtab_monitor.ledger.tally import Entry, Tally, join
from trimtab_monitor.ledger.units import MINUTE_US

_SOUND: Final = (0.9, 1.1)
_USABLE: Final = (0.55, 1.8)
"""Half or twice, and a tenth more: so far off is a counter of a wrong unit, or of one of two parts, and noise
must not decide on which side of that a minute falls. Idle boards were seen at 0.57."""
_MAX_PARTS: Final = 8


@dataclass(slots=True)
class Block:
    """What counter and power told of the same time; `is_firm` if that power can prove the counter wrong."""

    checked_us: int = 0
    is_firm: bool = True
    counter: list[Entry] = field(default_factory=list)
    power: list[Entry] = field(default_factory=list)

    def add(self, counter: Entry, power: Entry, is_firm: bool) -> None:
        """Add one interval."""
        self.checked_us += power.end_us - power.start_us
        self.is_firm &= is_firm
        join(self.counter, counter, _MAX_PARTS)
        join(self.power, power, _MAX_PARTS)

    @property
    def ratio(self) -> float | None:
        """The counter's energy over that of power; None if power is 0."""
        by_power_uj = sum(entry.amount.energy_uj for entry in self.power)
        by_counter_uj = sum(entry.amount.energy_uj for entry in self.counter)
        return by_counter_uj / by_power_uj if by_power_uj > 0 else None

    @property
    def is_unsound(self) -> bool:
        """Whether power that can tell says that the counter is off."""
        ratio = self.ratio
        return self.is_firm and ratio is not None and not _SOUND[0] <= ratio <= _SOUND[1]

    def doubt(self) -> Entry:
        """What widens the interval of the counter's energy to what power says of the same time."""
        counted_uj = sum(entry.amount.energy_uj for entry in self.counter)
        low_uj = sum(entry.amount.low_uj for entry in self.power) - counted_uj
        high_uj = sum(entry.amount.high_uj for entry in self.power) - counted_uj
        amount = Tally(0, min(0, low_uj), max(0, high_uj))
        return Entry(self.counter[0].start_us, self.counter[-1].end_us, "counter", amount)


@dataclass(slots=True)
class Check:
    """What the checks of a device's counter said.

    `ratio` is that of the last minute, `minutes` were checked, `unsound` of them lay outside 0.9 to 1.1 by
    power that can tell, and in `by_power` of them power counted in the counter's stead.
    """

    ratio: float | None = None
    minutes: int = 0
    unsound: int = 0
    by_power: int = 0
    is_trusted: bool = True
    is_firm: bool = False

    @property
    def agrees(self) -> bool:
        """Whether counter and power told the same in the last minute."""
        return self.ratio is not None and _SOUND[0] <= self.ratio <= _SOUND[1]

    def judge(self, block: Block) -> list[Entry]:
        """Judge a full block; return what puts power in the counter's place, or shows that they differ."""
        ratio = block.ratio
        if ratio is None:
            return []
        self.ratio, self.is_firm = ratio, block.is_firm
        self.minutes += 1
        if not block.is_firm:
            return [] if _USABLE[0] <= ratio <= _USABLE[1] else [block.doubt()]
        was_trusted = self.is_trusted
        sound = _SOUND[0] <= ratio <= _SOUND[1]
        self.unsound += not sound
        self.is_trusted = sound if not was_trusted else _USABLE[0] <= ratio <= _USABLE[1]
        if was_trusted and self.is_trusted:
            return [] if sound else [block.doubt()]
        self.by_power += 1
        return list(_replaced(block)) if was_trusted else []


def is_full(block: Block) -> bool:
    """Whether a block is long enough to be judged."""
    return block.checked_us >= MINUTE_US


def _replaced(block: Block) -> Iterator[Entry]:
    for entry in block.counter:
        yield entry.taken_back()
    yield from block.power
