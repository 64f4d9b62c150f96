"""What is known of the energy of a stretch of time, and how it is cut where a run begins or ends."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import Final

from trimtab_monitor.ledger.units import HOUR_US, portion


@dataclass(slots=True)
class Tally:
    """What one method has told of a device.

    The true energy of the measured time lies in [`low_uj`, `high_uj`]. That of the time in `gap_us` is only
    estimated, and lies in [`estimated_low_uj`, `estimated_high_uj`]: no part of the others.
    """

    energy_uj: int = 0
    low_uj: int = 0
    high_uj: int = 0
    measured_us: int = 0
    gap_us: int = 0
    estimated_uj: int = 0
    estimated_low_uj: int = 0
    estimated_high_uj: int = 0

    def add(self, other: Tally) -> None:
        """Add another tally to this one."""
        self.energy_uj += other.energy_uj
        self.low_uj += other.low_uj
        self.high_uj += other.high_uj
        self.measured_us += other.measured_us
        self.gap_us += other.gap_us
        self.estimated_uj += other.estimated_uj
        self.estimated_low_uj += other.estimated_low_uj
        self.estimated_high_uj += other.estimated_high_uj

    def less(self, other: Tally) -> Tally:
        """This tally without another."""
        return Tally(*(getattr(self, name) - getattr(other, name) for name in _NAMES))


_NAMES: Final = tuple(field.name for field in fields(Tally))


@dataclass(slots=True)
class Entry:
    """What is told of [`start_us`, `end_us`) by one method.

    `start_w` and `end_w` are the power at its ends, None where it counts as spread evenly, and `before_w` the
    mean before it, if known. `most_w` is the most that the device draws: what a cut is uncertain by.
    """

    start_us: int
    end_us: int
    method: str
    amount: Tally
    start_w: float | None = None
    end_w: float | None = None
    most_w: float = 0.0
    before_w: float | None = None

    def taken_back(self) -> Entry:
        """What corrects it to nothing."""
        return Entry(self.start_us, self.end_us, self.method, Tally().less(self.amount))


def join(entries: list[Entry], entry: Entry, most: int) -> None:
    """Add an entry to a list that keeps the hours of the clock and the methods apart, in `most` at most."""
    last = entries[-1] if entries else None
    if last and last.method == entry.method and last.start_us // HOUR_US == entry.start_us // HOUR_US:
        _absorb(last, entry)
        return
    entries.append(Entry(entry.start_us, entry.end_us, entry.method, replace(entry.amount)))
    if len(entries) > most:
        alike = next(at for at in range(1, len(entries)) if entries[at].method == entries[0].method)
        _absorb(entries[0], entries.pop(alike))


def _absorb(entry: Entry, other: Entry) -> None:
    entry.start_us = min(entry.start_us, other.start_us)
    entry.end_us = max(entry.end_us, other.end_us)
    entry.amount.add(other.amount)


def kept(entry: Entry, begin_us: int | None, end_us: int | None) -> Tally:
    """What of an entry lies between the beginning and the end of its run.

    At a cut the power there tells what lies beyond it; without one it counts as spread evenly.
    """
    amount, start_us, length_us = entry.amount, entry.start_us, entry.end_us - entry.start_us
    before_us = 0 if begin_us is None else min(max(0, begin_us - start_us), length_us)
    after_us = 0 if end_us is None else min(max(0, entry.end_us - end_us), length_us)
    if not before_us and not after_us:
        return amount
    if before_us + after_us >= length_us:
        return Tally()
    even = Tally(
        *(portion(getattr(amount, name), 0, length_us, before_us, length_us - after_us) for name in _NAMES)
    )
    if not entry.most_w:
        return even
    return _by_power(entry, even, before_us, after_us)


def _by_power(entry: Entry, even: Tally, before_us: int, after_us: int) -> Tally:
    """Take off what the power at the cut says; the truth lies between that at no power and at the most."""
    amount, length_us = entry.amount, entry.end_us - entry.start_us
    mean_w = amount.energy_uj / length_us
    beyond = (mean_w if entry.start_w is None else entry.start_w) * before_us
    beyond += (mean_w if entry.end_w is None else entry.end_w) * after_us
    if entry.before_w is not None and not before_us:
        beyond = _beyond_the_end(amount.energy_uj - entry.before_w * (length_us - after_us), beyond)
    even.energy_uj = amount.energy_uj - min(round(beyond), amount.energy_uj)
    most_beyond = round(entry.most_w * (before_us + after_us))
    even.low_uj = min(even.energy_uj, max(0, amount.low_uj - most_beyond))
    even.high_uj = max(even.energy_uj, amount.high_uj)
    return even


def _beyond_the_end(by_rate: float, by_power: float) -> float:
    """What lies beyond the end if the rate before went on up to it, or if power was as it was read after it.

    That may show time before the end too, and tell too much where load falls as the run ends. A rate that
    leaves less than nothing did not go on.
    """
    return by_rate if 0 <= by_rate < by_power else by_power
