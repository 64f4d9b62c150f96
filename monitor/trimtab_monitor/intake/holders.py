"""Which runs read which devices when: so that a device that several hold is divided among them.

Runs are folded one by one, each from its own entries. What one must know of another is noticed here, at the
door, and put into the log beside the batch that shows it: `entries.DevicesHeld`. A run alone on its devices
has no such entry.
"""

from __future__ import annotations

import threading
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final

from trimtab import wire
from trimtab_monitor.entries import DevicesHeld, Holding
from trimtab_monitor.ledger.ledger import device_key
from trimtab_monitor.ledger.power import MAX_INTERVAL_US
from trimtab_monitor.ledger.reading import LATEST_S, Counts, readings
from trimtab_monitor.ledger.stretches import (
    BRIDGED_US,
    OPEN_US,
    Stretch,
    bridged,
    changes,
    extend,
    joined,
    overlap,
    replaced,
)
from trimtab_monitor.ledger.units import HOUR_US, MICRO, micros

KEPT_US: Final = 26 * HOUR_US
"""For how long a run that let go of a device is remembered: the ledger divides a day again."""

_SCRATCH: Final = Counts()


@dataclass(slots=True)
class Holder:
    """One run that reads, or read, a device.

    `stretches` is when, `is_open` whether it goes on, `heard` when a reading last came (the collector's
    clock), `rank` whose it was. `told` is what the run was told of others.
    """

    stretches: list[Stretch] = field(default_factory=list)
    is_open: bool = True
    heard: float = 0.0
    rank: int = 0
    opened_us: int | None = None
    told: dict[str, list[Stretch]] = field(default_factory=dict)

    @property
    def end_us(self) -> int:
        """Its last reading."""
        return self.stretches[-1][1]

    def shown(self) -> list[Stretch]:
        """When it holds the device, for all that is known."""
        if not self.is_open:
            return self.stretches
        return [*self.stretches[:-1], (self.stretches[-1][0], OPEN_US)]

    def reach(self) -> list[Stretch]:
        """The time of which its ledger may count energy: between its stretches too, and from its start."""
        reach = bridged(self.shown())
        if self.opened_us is not None:
            reach = joined(reach, (self.opened_us, self.opened_us), MAX_INTERVAL_US)
        return reach


class Holders:
    """The holders of every device that was read of late. Serves any thread that holds `lock`."""

    def __init__(self) -> None:
        self.lock = threading.RLock()
        self._devices: dict[str, dict[str, Holder]] = {}
        self._of_run: defaultdict[str, set[str]] = defaultdict(set)
        self._opened_us: dict[tuple[str, str], int] = {}
        self._forget_next = 0.0

    def notice(self, run: str, batch: wire.Batch, now: float) -> list[DevicesHeld]:
        """Take in a batch, received at `now`; returns what runs must be told for it."""
        shared = self.take(run, batch, now)
        return self._tell(shared, now) if shared else []

    def take(self, run: str, batch: wire.Batch, now: float) -> list[str]:
        """Take in a batch; returns the devices of it that others hold too, or held."""
        for event in batch.events:
            if event["kind"] == wire.RUN_START and 0 <= event["time"] <= LATEST_S:
                self._opened_us.setdefault((run, str(event.get("boot_id"))), micros(event["time"]))
        touched = [key for device in batch.devices if (key := self._read(run, device, batch.rank, now))]
        if any(event["kind"] == wire.RUN_END for event in batch.events):
            touched += self._let_go(run, batch.rank)
        return [key for key in touched if len(self._devices[key]) > 1]

    def lapse(self, now: float) -> list[DevicesHeld]:
        """Who was not heard of for long holds nothing any more; returns what others must be told."""
        if now >= self._forget_next:
            self._forget_next = now + KEPT_US / MICRO
            self._forget_the_past(now)
        lapsed = []
        for key, holders in self._devices.items():
            if len(holders) > 1:
                for holder in holders.values():
                    if holder.is_open and now - holder.heard > BRIDGED_US / MICRO:
                        holder.is_open = False
                        lapsed.append(key)
        return self._tell(lapsed, now)

    def recall(self, run: str, device: str, holder: Holder) -> None:
        """What was known of a run before the collector began anew."""
        self._devices.setdefault(device, {})[run] = holder
        self._of_run[run].add(device)

    def settle(self) -> None:
        """All is recalled: of whom others were told that he let go, he did."""
        for holders in self._devices.values():
            told = [
                (run, held[-1][1]) for each in holders.values() for run, held in each.told.items() if held
            ]
            for run, end_us in told:
                if run in holders and holders[run].end_us == end_us:
                    holders[run].is_open = False

    def heard(self, entry: DevicesHeld) -> None:
        """A run was told this."""
        for each in entry.holdings:
            holder = self._devices.get(each.device, {}).get(entry.run)
            if holder is not None:
                stretch = (each.from_us, each.until_us)
                holder.told[each.by] = replaced(holder.told.get(each.by, []), stretch)

    def forget(self, entry: DevicesHeld) -> None:
        """A run was not told this: it could not be written."""
        for each in entry.holdings:
            self._devices[each.device][entry.run].told.pop(each.by, None)

    def tell_all(self, now: float) -> list[DevicesHeld]:
        """What runs should have been told by now and were not."""
        return self._tell(list(self._devices), now)

    # --- inside ---

    def _read(self, run: str, device: wire.Device, rank: int, now: float) -> str | None:
        """Take in readings; returns the device if there were any."""
        times_us = [reading.time_us for reading in readings(device, _SCRATCH) if reading.has_value]
        if not times_us:
            return None
        key = device_key(device.boot_id, device.uuid, device.component)
        holder = self._holder(key, run, device.boot_id)
        end_us = holder.end_us if holder.stretches else -1
        for time_us in times_us:
            extend(holder.stretches, time_us)
        if holder.end_us > end_us:
            holder.is_open, holder.heard, holder.rank = True, now, rank
        return key

    def _holder(self, key: str, run: str, boot_id: str) -> Holder:
        holders = self._devices.setdefault(key, {})
        holder = holders.get(run)
        if holder is None:
            holder = holders[run] = Holder(opened_us=self._opened_us.get((run, boot_id)))
            self._of_run[run].add(key)
            self._forget_old(key, holders)
        return holder

    def _forget_old(self, key: str, holders: dict[str, Holder]) -> None:
        newest_us = max((each.end_us for each in holders.values() if each.stretches), default=0)
        for run, each in list(holders.items()):
            if each.stretches and each.end_us < newest_us - KEPT_US:
                del holders[run]
                self._of_run[run].discard(key)

    def _forget_the_past(self, now: float) -> None:
        """Devices that nobody has read for long."""
        for key, holders in list(self._devices.items()):
            if all(now - holder.heard > KEPT_US / MICRO for holder in holders.values()):
                del self._devices[key]
                for run in holders:
                    self._of_run[run].discard(key)
        gone = [run for run, keys in self._of_run.items() if not keys]
        for run in gone:
            del self._of_run[run]
        self._opened_us = {of: time for of, time in self._opened_us.items() if of[0] in self._of_run}

    def _let_go(self, run: str, rank: int) -> list[str]:
        """A rank ended: what it read it holds no more."""
        let_go = []
        for key in self._of_run[run]:
            holder = self._devices[key][run]
            if holder.rank == rank and holder.is_open:
                holder.is_open = False
                let_go.append(key)
        return let_go

    def _tell(self, devices: Sequence[str], now: float) -> list[DevicesHeld]:
        """What the holders of these devices must be told of each other, an entry a run."""
        news: defaultdict[str, list[Holding]] = defaultdict(list)
        for key in dict.fromkeys(devices):
            holders = self._devices[key]
            _close_those_behind(holders)
            for run, holder in holders.items():
                for by, other in holders.items():
                    if by != run:
                        news[run] += (Holding(key, by, *each) for each in _news(holder, by, other))
        return [DevicesHeld(now, run, holdings) for run, holdings in news.items() if holdings]


def _close_those_behind(holders: dict[str, Holder]) -> None:
    """Who sent nothing of a time of which others sent minutes holds nothing any more."""
    newest_us = max(each.end_us for each in holders.values())
    for each in holders.values():
        if each.is_open and each.end_us + BRIDGED_US < newest_us:
            each.is_open = False


def _news(holder: Holder, by: str, other: Holder) -> Iterator[Stretch]:
    """What a run must be told of another, and is told now: what concerns time that it counts."""
    reach = holder.reach()
    if len(holder.stretches) > 1 and len(other.stretches) > 1:
        # Both were away at times: the beginning and the end of that count, wherever they lie.
        reach = [(start_us - MAX_INTERVAL_US, end_us + MAX_INTERVAL_US) for start_us, end_us in reach]
    for stretch in other.shown():
        told = holder.told.get(by, [])
        known = replaced(told, stretch)
        if any(overlap(change, each) for change in changes(told, known) for each in reach):
            holder.told[by] = known
            yield stretch
