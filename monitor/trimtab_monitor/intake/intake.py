"""The one way into the log for batches: over HTTP, and from the rings of processes that died."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from functools import partial

from trimtab import wire
from trimtab_monitor.entries import DevicesHeld, Draft, Registered, Registration, batch_draft, draft_of
from trimtab_monitor.intake.holders import Holders
from trimtab_monitor.store.protocols import Appended, Log

Clock = Callable[[], float]


@dataclass(slots=True)
class IntakeCounts:
    """What came in since the process began, in batches, rows and bytes."""

    stored: int = 0
    duplicate: int = 0
    refused: int = 0
    unavailable: int = 0
    samples: int = 0
    bytes: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def count(self, appended: Appended, batch: wire.Batch, size: int) -> None:
        """A batch of `size` bytes is durable."""
        with self._lock:
            self.duplicate += appended.duplicate
            self.stored += not appended.duplicate
            self.samples += 0 if appended.duplicate else batch.rows
            self.bytes += size

    def count_refused(self) -> None:
        """A batch was refused: it breaks the contract, or is too much."""
        with self._lock:
            self.refused += 1

    def count_unavailable(self) -> None:
        """A batch could not be made durable."""
        with self._lock:
            self.unavailable += 1


class Intake:
    """Appends registrations and batches to the log, and knows which runs there are."""

    def __init__(self, log: Log, clock: Clock = time.time, holders: Holders | None = None) -> None:
        self._log = log
        self._clock = clock
        self._holders = holders or Holders()
        self._known = log.known_runs()
        self.counts = IntakeCounts()

    def knows(self, run: str) -> bool:
        """Whether the run has registered."""
        return run in self._known

    def register(self, run: str, registration: Registration) -> Future[Appended]:
        """Make a run known, or known anew. It is known once the future is done."""
        future = self.append(draft_of(Registered(self._clock(), run, registration)))
        future.add_done_callback(lambda done: self._registered(run, done))
        return future

    def append_batch(self, run: str, batch: wire.Batch, body: bytes) -> Future[Appended]:
        """Append a batch whose MessagePack encoding is `body`; the future is done when it is durable.

        With it goes what runs must know of each other for it: whoever is told that the batch is durable sees
        the ledgers of all of them as they are with it.
        """
        now = self._clock()
        with self._holders.lock:
            told = self._holders.notice(run, batch, now)
            future = self._log.append(batch_draft(run, now, batch, body), [draft_of(each) for each in told])
        if told:
            future.add_done_callback(partial(self._told, told))
        return future

    def lapse(self) -> None:
        """Tell runs of others that hold a device no more, as nothing came of them for long."""
        with self._holders.lock:
            told = self._holders.lapse(self._clock())
            futures = [(each, self.append(draft_of(each))) for each in told]
        for each, future in futures:
            future.add_done_callback(partial(self._told, [each]))

    def append(self, draft: Draft, also: Sequence[Draft] = ()) -> Future[Appended]:
        """Append any entry, and others in the same transaction."""
        return self._log.append(draft, also)

    def now(self) -> float:
        """Unix seconds of the collector's clock."""
        return self._clock()

    def _told(self, told: Sequence[DevicesHeld], done: Future[Appended]) -> None:
        if done.exception() is not None:
            with self._holders.lock:
                for each in told:
                    self._holders.forget(each)

    def _registered(self, run: str, done: Future[Appended]) -> None:
        if done.exception() is None:
            self._known.add(run)
