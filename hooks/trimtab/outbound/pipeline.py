"""A sample's way out of the job: recorder -> ring -> drainer -> spool -> sender -> collector."""

from __future__ import annotations

import logging
import math
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from trimtab.guard import Guard, Tally
from trimtab.identity import RunIdentity
from trimtab.outbound.aging import EXPIRED, Keep, forget_old
from trimtab.outbound.batches import Batches
from trimtab.outbound.client import Client
from trimtab.outbound.drainer import Drainer, Sampler, Sources
from trimtab.outbound.giving_way import GivingWay
from trimtab.outbound.leftovers import Leftovers
from trimtab.outbound.mirror_targets import Target
from trimtab.outbound.mirrors import Mirrors
from trimtab.outbound.packer import Event
from trimtab.outbound.process_dir import ProcessDir
from trimtab.outbound.recorder import Recorder
from trimtab.outbound.records import MetricSets
from trimtab.outbound.rejected import Rejected
from trimtab.outbound.ring import Ring, Slot
from trimtab.outbound.ring_writer import RingWriter
from trimtab.outbound.rings import InMemory, Rings
from trimtab.outbound.sender import Outlets, Sender
from trimtab.outbound.spool import FileSpool, MemorySpool
from trimtab.outbound.steady_spool import SteadySpool
from trimtab.outbound.stray_rings import forget_stray
from trimtab.outbound.transport import HttpTransport, Transport
from trimtab.vocabulary import Command

LOG = logging.getLogger("trimtab")

_MEMORY_BYTES: Final = 16 * 2**20
_MIRROR_SECONDS: Final = 0.2
"""How long mirrors are waited for where the collector has taken all the time for closing."""
_LEFTOVERS: Final = 8
"""How many times a process's bound dead ones may leave behind in all: the ranks of a host share a folder."""
_DRAIN_SHARE: Final = 0.4
"""The part of the time for closing that the last drain may take."""


@dataclass(frozen=True, slots=True)
class Bounds:
    """What may wait for the collector, in bytes, and for how long."""

    ring_bytes: int
    spool_bytes: int
    spool_seconds: float = math.inf


@dataclass(frozen=True, slots=True)
class Ends:
    """What the data path is tied to at its two ends.

    `poll` moves rows that have arrived from a device into the ring and says whether some are under way.
    `mirrors` are written to beside the collector. `clock` is the one by which steps are stamped.
    """

    transport: Transport
    sampler: Sampler
    poll: Callable[[], bool]
    on_commands: Callable[[tuple[Command, ...]], None]
    on_page: Callable[[str], None]
    mirrors: Sequence[Target] = ()
    clock: Callable[[], float] = time.time


class Pipeline:
    """One process's data path to its collector; `recorder` is the end that the training thread writes to."""

    def __init__(self, identity: RunIdentity, root: Path, bounds: Bounds, ends: Ends, guard: Guard) -> None:
        self.drops = Tally()
        self._identity = identity
        self._told: set[str] = set()
        self._home, ring = self._claim(root, bounds.ring_bytes)
        sets = MetricSets(self._define_set)
        self._writer = RingWriter(ring, self._wake)
        self._rings = Rings(self._writer, self._home or InMemory(), self._ring_trouble, guard)
        self.recorder = Recorder(self._writer, sets, self.drops, self._alarm)
        disk = self._disk(bounds)
        self._spool = SteadySpool(disk, MemorySpool(_MEMORY_BYTES), self._disk_trouble)
        batches = Batches(self._rings, self._spool, identity.rank, identity.attempt, self.drops, GivingWay())
        self._mirrors = Mirrors(ends.mirrors, self.drops)
        sources = Sources(
            ends.sampler,
            self.drops,
            guard,
            sets.names,
            self._rings.take_drops,
            ends.poll,
            self._mirrors.put,
            ends.clock,
        )
        keep = Keep(bounds.spool_seconds, _LEFTOVERS * bounds.spool_bytes)
        self._sender = self._make_sender(root, keep, ends, guard)
        self._drainer = Drainer(batches, self.recorder, sources, self._sender.notify)

    def _wake(self) -> None:
        self._drainer.wake()

    def _alarm(self) -> None:
        self._drainer.alarm()

    def _disk(self, bounds: Bounds) -> FileSpool | None:
        if self._home is None:
            return None
        return FileSpool(self._home.path, bounds.spool_bytes, bounds.spool_seconds)

    def _make_sender(self, root: Path, keep: Keep, ends: Ends, guard: Guard) -> Sender:
        client = Client(ends.transport)
        rejected = Rejected(root, self.drops)
        leftovers = Leftovers(
            root, client, self._identity.url, rejected, lambda url: Client(HttpTransport(lambda: url))
        )

        def tidy() -> None:
            forget_stray()
            forget_old(root, keep, self.drops)

        def sweep_rest() -> None:
            with guard.shield("recovery"):
                leftovers.sweep()

        outlets = Outlets(
            on_commands=ends.on_commands,
            on_page=ends.on_page,
            set_aside=lambda record, reason: rejected.add(self._identity, record, reason),
            expired=self._expired,
            at_start=tidy,
            before_first=lambda: leftovers.sweep(self._identity.run),
            after_first=threading.Thread(target=sweep_rest, name="trimtab-recovery", daemon=True).start,
            at_rest=lambda: leftovers.sweep(self._identity.run),
        )
        return Sender(client, self._identity, self._spool, outlets, guard)

    def start(self) -> None:
        """Start the threads."""
        self._mirrors.start()
        self._drainer.start()
        self._sender.start()

    def tell(self, event: Event) -> None:
        """Send an event beside the ring: from a signal handler, or where the ring has no room."""
        self._drainer.tell(event)

    def close(self, seconds: float, keep_ring: bool = False) -> None:
        """Send what is left, for at most so many seconds; leave the rest to whoever finds it.

        `keep_ring` is for a signal handler: the thread that it interrupted may be writing to the ring.
        """
        deadline = time.monotonic() + seconds
        drained = self._drainer.stop(seconds * _DRAIN_SHARE)
        self._rings.stop()
        self._mirrors.end()
        sent = self._sender.close(max(0.0, deadline - time.monotonic()))
        if drained and self._home is not None and self._drainer.put_counts():
            sent = False  # what was refused last is told by whoever delivers the rest
        lost = 0 if sent else self._spool.flush()
        self._rings[Slot.NOT_KEPT] = lost
        self._mirrors.join(max(_MIRROR_SECONDS, deadline - time.monotonic()))
        if drained and not keep_ring:
            self._writer.close()
            self._rings.close()
        if not (drained and sent):
            self._tell_left(lost)
            if self._home is not None:
                self._home.release()
        elif self._home is not None:
            self._home.remove()

    def abandon(self) -> None:
        """Let go of everything without touching it: in a forked child, where all of it is the parent's."""
        if self._home is not None:
            self._home.abandon()

    def _claim(self, root: Path, ring_bytes: int) -> tuple[ProcessDir | None, Ring]:
        """Make the folder and the ring in it; where that fails, a ring in memory has to do."""
        home: ProcessDir | None = None
        try:
            home = ProcessDir.create(root, self._identity)
            return home, home.make_ring(ring_bytes)
        except OSError as error:
            if home is not None:
                home.remove()
            LOG.warning(
                "trimtab: %s: %s: the run is watched, but what the collector has not confirmed is lost if "
                "this process is killed; set TRIMTAB_DIR to a folder that can be written",
                root,
                error,
            )
            return None, Ring.anonymous(ring_bytes)

    def _define_set(self, kind: int, names: tuple[str, ...]) -> None:
        if self._home is None:
            return
        try:
            self._home.define_set(kind, names)
        except OSError as error:
            self._disk_trouble(error)

    def _disk_trouble(self, error: OSError) -> None:
        what = type(error).__name__ + str(error.errno)
        if what not in self._told:
            self._told.add(what)
            LOG.warning(
                "trimtab: %s: samples wait for the collector in memory, %d MiB at most, and are lost if this "
                "process is killed; make room on the disk, or set TRIMTAB_DIR to another",
                error,
                _MEMORY_BYTES // 2**20,
            )

    def _expired(self, steps: int) -> None:
        if self.drops.count(EXPIRED, by=steps):
            LOG.warning("trimtab: %s: %d steps are deleted: %s", self._identity.run, steps, EXPIRED)

    def _ring_trouble(self, error: OSError) -> None:
        LOG.warning("trimtab: the ring stays small, steps may be dropped and counted: %s", error)

    def _tell_left(self, lost: int) -> None:
        """Say what becomes of what the collector does not have, and how much of it is lost."""
        if self._home is None:
            what = f"lost, {lost} steps: no folder could be used"
        else:
            what = f"kept in {self._home.path} and sent by the next job or the collector here"
            what += f", but for {lost} steps, lost: the disk did not take them" if lost else ""
        LOG.warning(
            "trimtab: %s: the collector did not take all in time: the rest is %s", self._identity.run, what
        )
