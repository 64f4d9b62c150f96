"""The dispatcher: takes what is due from the outbox to its destination, and owns retries.

Each destination has a thread of its own, so that a slow one holds up nobody else. Within a destination
deliveries go one at a time, so there is never more than one in flight for a dedup_key.
"""

from __future__ import annotations

import logging
import random
import threading
import time
import traceback
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field, replace
from typing import Final

from trimtab_alerts.outbox import Delivery, OutboxStore, OutboxUnavailable
from trimtab_alerts.outcome import Notifier, Outcome, Permanent
from trimtab_alerts.rate import TokenBucket
from trimtab_alerts.retry import Done, GiveUp, RetryPolicy, TryAt, next_try

log = logging.getLogger(__name__)

IDLE_SECONDS: Final = 1.0
BATCH: Final = 64

OnCrash = Callable[[str, BaseException], None]


@dataclass(frozen=True, slots=True)
class Channel:
    """A destination: its name, how it is told, and how often it may be."""

    name: str
    notifier: Notifier
    bucket: TokenBucket = field(default_factory=TokenBucket)


@dataclass(frozen=True, slots=True)
class Counts:
    """What became of a destination's sends since the process began."""

    sent: int = 0
    retried: int = 0
    dead: int = 0


class Dispatcher:
    """Sends what the outbox holds.

    `run_once` is all it does, on the caller's thread; `start` does the same on one thread a destination until
    `stop`. `wake` after a commit saves waiting for the next look, which comes within a second. If a thread
    ends by a fault, which it should not, `on_crash` hears of it.
    """

    def __init__(
        self,
        store: OutboxStore,
        channels: Iterable[Channel],
        *,
        clock: Callable[[], float] = time.time,
        rng: random.Random | None = None,
        policy: RetryPolicy | None = None,
        on_crash: OnCrash = lambda _name, _error: None,
    ) -> None:
        self._store = store
        self._clock = clock
        self._rng = rng or random.Random()  # noqa: S311 - spreads retries, guards nothing
        self._policy = policy or RetryPolicy()
        self._on_crash = on_crash
        self._channels = {channel.name: channel for channel in channels}
        self._counts = dict.fromkeys(self._channels, Counts())
        self._lock = threading.Lock()
        self._threads: list[threading.Thread] = []
        self._wakes: list[threading.Event] = []
        self._stopping = threading.Event()

    def run_once(self, now: float) -> int:
        """Send what is due at `now`, destination after destination; return how many sends were made."""
        self._bury_orphans()
        return sum(self._serve(channel, lambda: now)[0] for channel in self._channels.values())

    def start(self) -> None:
        """Start one thread for each destination."""
        self._bury_orphans()
        for channel in self._channels.values():
            wake = threading.Event()
            thread = threading.Thread(
                target=self._loop, args=(channel, wake), name=f"trimtab-alerts-{channel.name}", daemon=True
            )
            self._wakes.append(wake)
            self._threads.append(thread)
            thread.start()

    def wake(self) -> None:
        """Look at the outbox now: something was added."""
        for wake in self._wakes:
            wake.set()

    def stop(self, timeout: float = 5.0) -> None:
        """Stop, waiting at most `timeout` seconds for sends in flight; what is unsent stays in the outbox."""
        self._stopping.set()
        self.wake()
        deadline = time.monotonic() + timeout
        for thread in self._threads:
            thread.join(max(0.0, deadline - time.monotonic()))

    def counts(self) -> Mapping[str, Counts]:
        """What became of the sends, by destination."""
        with self._lock:
            return dict(self._counts)

    def _loop(self, channel: Channel, wake: threading.Event) -> None:
        try:
            while not self._stopping.is_set():
                wake.clear()
                wake.wait(self._pass(channel))
        except BaseException as error:
            log.exception("alerts/%s: the thread ended by a fault", channel.name)
            self._on_crash(f"alerts/{channel.name}", error)

    def _pass(self, channel: Channel) -> float:
        """One look at the outbox; returns how long to wait for the next, in seconds."""
        try:
            sent, wait = self._serve(channel, self._clock)
        except OutboxUnavailable as error:
            log.warning("alerts/%s: the outbox is not available, trying again: %s", channel.name, error)
            return IDLE_SECONDS
        if wait > 0:
            return min(wait, IDLE_SECONDS)
        return 0.0 if sent else IDLE_SECONDS

    def _serve(self, channel: Channel, clock: Callable[[], float]) -> tuple[int, float]:
        """Send what is due; returns how many were sent and how long the rate limit asks to wait."""
        sent = 0
        for delivery in self._store.due(channel.name, clock(), BATCH):
            wait = channel.bucket.take(clock())
            if wait > 0 or self._stopping.is_set():
                return sent, wait
            self._send(channel, delivery, clock)
            sent += 1
        return sent, 0.0

    def _send(self, channel: Channel, delivery: Delivery, clock: Callable[[], float]) -> None:
        outcome = _notify(channel, delivery)
        match next_try(delivery, outcome, clock(), self._rng, self._policy):
            case Done():
                self._store.done(delivery.id)
                self._count(channel.name, sent=1)
            case TryAt(at, error):
                self._store.retry(delivery.id, at, error)
                self._count(channel.name, retried=1)
                _log(logging.WARNING, "will be tried again", delivery, error)
            case GiveUp(error):
                self._store.dead(delivery.id, error)
                self._count(channel.name, dead=1)
                _log(logging.ERROR, "was given up", delivery, error)

    def _bury_orphans(self) -> None:
        """Give up what is meant for destinations that are no longer set: nobody would ever send it."""
        for name in self._store.destinations():
            if name in self._channels:
                continue
            error = f"destination {name!r} is no longer set"
            while orphans := self._store.due(name, float("inf"), BATCH):
                for delivery in orphans:
                    self._store.dead(delivery.id, error)
                    self._count(name, dead=1)
                    _log(logging.ERROR, "was given up", delivery, error)

    def _count(self, name: str, *, sent: int = 0, retried: int = 0, dead: int = 0) -> None:
        with self._lock:
            was = self._counts.get(name, Counts())
            self._counts[name] = replace(
                was, sent=was.sent + sent, retried=was.retried + retried, dead=was.dead + dead
            )


def _notify(channel: Channel, delivery: Delivery) -> Outcome:
    try:
        return channel.notifier.notify(delivery)
    except Exception as error:  # noqa: BLE001 - a notifier's fault costs one delivery, not all that wait
        # Not the error's own text, which might hold a secret.
        where = "".join(traceback.format_tb(error.__traceback__))
        log.error("alerts/%s: a fault in the notifier, %s:\n%s", channel.name, type(error).__name__, where)
        return Permanent(f"a fault in the notifier: {type(error).__name__}")


def _log(level: int, what: str, delivery: Delivery, error: str) -> None:
    log.log(
        level,
        "alerts/%s: %s of %s %s after %d tries: %s",
        delivery.destination,
        delivery.action,
        delivery.dedup_key,
        what,
        delivery.attempts + 1,
        error,
    )
