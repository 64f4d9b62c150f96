"""The thread that empties the ring: packs what the training thread recorded into batches and spools them.

It never touches the network, so a collector that hangs cannot make the ring overflow. It runs once a
second, and at once when the recorder raises an alarm. After an alarm it keeps a close watch for a while:
whoever judges a spike needs the steps that follow it too.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass
from queue import Empty, SimpleQueue
from typing import Protocol

from trimtab import wire
from trimtab.guard import Guard, Tally
from trimtab.outbound.batches import Batches
from trimtab.outbound.packer import Event, Part
from trimtab.outbound.ring import RING_FULL
from trimtab.outbound.urgency import RecentLimit


class Sampler(Protocol):
    """Readings of the host's devices, taken beside the training."""

    def drain(self) -> list[wire.Device]:
        """Return what was read since the last call."""


class NoSampler:
    """Stands in where another process samples this host's devices, or none can be read."""

    def drain(self) -> list[wire.Device]:
        """Return nothing."""
        return []


class Limits(Protocol):
    """From where on loss and gradient norm are worth an alarm."""

    loss_limit: float
    grad_norm_limit: float


@dataclass(frozen=True, slots=True)
class Pace:
    """How often to drain, in seconds, in quiet and after an alarm, and to look after rows `under_way`."""

    quiet: float = 1.0
    under_way: float = 0.05
    alarmed: float = 0.02
    shortest: float = 0.01
    close_watch: float = 2.0
    heartbeat: float = 5.0


@dataclass(frozen=True, slots=True)
class Sources:
    """What goes into batches beside the ring.

    `poll` moves rows that have arrived from a device into the ring, and says whether some are still under
    way. `ring_drops` returns how many records found no room in the ring and are not told yet. `mirror` is
    handed what was packed, and never waits. `clock` stamps what is counted here, as it does steps.
    """

    sampler: Sampler
    drops: Tally
    guard: Guard
    names: Mapping[int, tuple[str, ...]]
    ring_drops: Callable[[], int]
    poll: Callable[[], bool] = lambda: False
    mirror: Callable[[Part], None] = lambda _: None
    clock: Callable[[], float] = time.time


class Drainer:
    """Drains in a daemon thread from `start` to `stop`; `on_batch` is called after each batch spooled."""

    def __init__(
        self,
        batches: Batches,
        limits: Limits,
        sources: Sources,
        on_batch: Callable[[], None],
        pace: Pace | None = None,
    ) -> None:
        self._batches = batches
        self._limits = limits
        self._sources = sources
        self._on_batch = on_batch
        self._pace = pace or Pace()
        self._loss = RecentLimit()
        self._grad_norm = RecentLimit()
        self._events: deque[Event] = deque()
        # A signal handler may interrupt SimpleQueue.put and call it again; not so the locks of threading.
        self._bell: SimpleQueue[bool] = SimpleQueue()
        self._rung = False
        self._close_watch_until = 0.0
        self._last_drain = self._last_batch = self._last_devices = time.monotonic()
        self._thread = threading.Thread(target=self._run, name="trimtab-drainer", daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def wake(self) -> None:
        """Ask for a drain now; cheap enough for each step."""
        if not self._rung:
            self._rung = True
            self._bell.put(True)

    def alarm(self) -> None:
        """Ask for a drain now, and for a close watch on what follows."""
        self._close_watch_until = time.monotonic() + self._pace.close_watch
        self.wake()

    def tell(self, event: Event) -> None:
        """Send an event that cannot go through the ring."""
        self._events.append(event)

    def stop(self, timeout: float) -> bool:
        """Drain once more and end the thread; False: it did not end in time."""
        self._bell.put(False)
        if self._thread.is_alive():
            self._thread.join(max(timeout, 0.0))
        return not self._thread.is_alive()

    def put_counts(self) -> bool:
        """Spool what was counted after the last drain, once the thread has ended; False: nothing was."""
        counts = list(self._counts())
        if counts:
            self._batches.put(self._batches.extra(), events=counts)
        return bool(counts)

    def _run(self) -> None:
        going = True
        while going:
            going = self._wait()
            with self._sources.guard.shield("drainer"):
                self._drain(final=not going)

    def _wait(self) -> bool:
        """Sleep until the next drain is due, and look after rows under way; False: it is the last."""
        while True:
            left = self._last_drain + self._interval() - time.monotonic()
            if left <= 0.0:
                return True
            with suppress(Empty):
                going = self._bell.get(timeout=min(left, self._pace.under_way) if self._polled() else left)
                break
        self._rung = False
        too_soon = self._last_drain + self._pace.shortest - time.monotonic()
        if going and too_soon > 0:
            time.sleep(too_soon)
        return going

    def _polled(self) -> bool:
        """Move rows that have arrived into the ring; True: others are under way."""
        with self._sources.guard.shield("drainer"):
            return self._sources.poll()
        return False

    def _interval(self) -> float:
        return self._pace.alarmed if time.monotonic() < self._close_watch_until else self._pace.quiet

    def _drain(self, final: bool) -> None:
        self._last_drain = time.monotonic()
        self._batches.relieve()
        self._sources.poll()
        waiting: Part | None = None
        for part in self._batches.parts(self._sources.names):
            if waiting is not None:
                self._put(waiting)
            waiting = part
        devices, events = self._devices(final), [*self._told_events(), *self._counts()]
        if waiting is None and (devices or events or self._heartbeat_due()):
            waiting = self._batches.extra()
        if waiting is not None:
            self._put(waiting, devices, events)

    def _put(self, part: Part, devices: Sequence[wire.Device] = (), events: Sequence[Event] = ()) -> None:
        self._batches.put(part, devices, events)
        self._sources.mirror(part)
        self._limits.loss_limit = self._loss.update(part.metrics.get(wire.LOSS, ()))
        self._limits.grad_norm_limit = self._grad_norm.update(part.metrics.get(wire.GRAD_NORM, ()))
        self._last_batch = time.monotonic()
        self._on_batch()

    def _heartbeat_due(self) -> bool:
        return time.monotonic() - self._last_batch >= self._pace.heartbeat

    def _devices(self, final: bool) -> list[wire.Device]:
        """Take the readings, at most about once a second: a close watch is on the metrics."""
        now = time.monotonic()
        if not final and now - self._last_devices < 0.9 * self._pace.quiet:
            return []
        self._last_devices = now
        return self._sources.sampler.drain()

    def _told_events(self) -> Iterator[Event]:
        while self._events:
            yield self._events.popleft()

    def _counts(self) -> Iterator[Event]:
        stamp = {"step": None, "time": self._sources.clock()}
        full = self._sources.ring_drops()
        if full:
            yield {"kind": wire.SAMPLES_DROPPED, "count": full, "reason": RING_FULL, **stamp}
        for (what, detail), count in self._sources.drops.take().items():
            reason = f"{what}: {detail}" if detail else what
            yield {"kind": wire.SAMPLES_DROPPED, "count": count, "reason": reason, **stamp}
        for (where, error), count in self._sources.guard.errors.take().items():
            yield {"kind": wire.HOOK_ERROR, "where": where, "error": error, "count": count, **stamp}
