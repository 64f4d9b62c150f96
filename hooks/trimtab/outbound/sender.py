"""The thread that takes batches from the spool to the collector, in order, one at a time.

Everything that can hang, hangs here, where nobody waits for it. A batch leaves the spool when the collector
has made it durable, or has said that it never will.
"""

from __future__ import annotations

import logging
import random
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from queue import Empty, SimpleQueue
from typing import Final

from trimtab.guard import Guard
from trimtab.identity import RunIdentity
from trimtab.outbound.backoff import wait_seconds
from trimtab.outbound.client import Client
from trimtab.outbound.delivery import Accepted, Later, Never, Registered, UnknownRun
from trimtab.outbound.spool import Spool, SpoolRecord
from trimtab.vocabulary import Command

LOG = logging.getLogger("trimtab")

_REST_SECONDS: Final = 5.0
"""How often it is looked for what other ranks left that have died, where there is nothing to send."""

_LAST_TRIES: Final = 3
"""Failures in a row after which a job that ends leaves the rest to whoever finds its spool."""


@dataclass(frozen=True, slots=True)
class Outlets:
    """Whom the sender tells: of commands, of the run's page, and of a batch that is refused for good.

    `expired` is told how many steps have waited for too long. `at_start` runs before anything else,
    `before_first` once the run is registered and before its first batch is sent, `after_first` when that
    is accepted: what dead processes left behind is delivered there. `at_rest` runs every few seconds and
    once at the end, when all is sent.
    """

    on_commands: Callable[[tuple[Command, ...]], None]
    on_page: Callable[[str], None]
    set_aside: Callable[[SpoolRecord, str], None]
    expired: Callable[[int], None] = lambda _: None
    at_start: Callable[[], object] = lambda: None
    before_first: Callable[[], object] = lambda: None
    after_first: Callable[[], object] = lambda: None
    at_rest: Callable[[], object] = lambda: None


class Sender:
    """Sends in a daemon thread from `start` until `close`."""

    def __init__(
        self, client: Client, identity: RunIdentity, spool: Spool, outlets: Outlets, guard: Guard
    ) -> None:
        self._client = client
        self._identity = identity
        self._spool = spool
        self._outlets = outlets
        self._guard = guard
        self._bell: SimpleQueue[None] = SimpleQueue()
        self._deadline: float | None = None
        self._registered = self._started = self._proven = self._left = False
        self._failures = 0
        self._rested = time.monotonic()
        self._told: set[str] = set()
        self._away_since: float | None = None
        self._thread = threading.Thread(target=self._run, name="trimtab-sender", daemon=True)

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def notify(self) -> None:
        """Say that there is a batch in the spool."""
        self._bell.put(None)

    def close(self, timeout: float) -> bool:
        """Send what is left within `timeout` seconds; False: something is left."""
        self._deadline = time.monotonic() + timeout
        self._failures = 0
        self._bell.put(None)
        if self._thread.is_alive():
            self._thread.join(max(timeout, 0.0))
        self._left = True
        return self._spool.first() is None

    def _run(self) -> None:
        with self._guard.shield("sender"):
            self._outlets.at_start()
        while not self._is_over():
            failed = True
            with self._guard.shield("sender"):
                self._turn()
                failed = False
            if failed:
                self._back_off(Later("an error of its own"))
        with self._guard.shield("sender"):
            if self._proven and not self._left and self._spool.first() is None:
                self._outlets.at_rest()

    def _turn(self) -> None:
        """Do the next thing there is to do, or wait for one."""
        if expired := self._spool.expire():
            self._outlets.expired(expired)
        if not self._registered:
            self._register()
        elif not self._started:
            self._started = True
            self._outlets.before_first()
        elif (record := self._spool.first()) is not None:
            self._send(record)
        else:
            self._rest_now_and_then()
            self._sleep()

    def _register(self) -> None:
        outcome = self._client.register(self._identity)
        if isinstance(outcome, Registered):
            self._registered = True
            self._back()
            if outcome.url is not None:
                self._outlets.on_page(outcome.url)
            return
        self._tell("the collector does not register the run", outcome.reason)
        self._back_off(outcome if isinstance(outcome, Later) else Later(outcome.reason))

    def _send(self, record: SpoolRecord) -> None:
        outcome = self._client.send(self._identity.run, record)
        if self._left:
            return  # the job has ended while this hung: the spool may belong to another by now
        if isinstance(outcome, Accepted):
            self._accepted(outcome)
        elif isinstance(outcome, UnknownRun):
            self._registered = False
            self._back_off(Later("the collector does not know the run"))
        elif isinstance(outcome, Never):
            self._outlets.set_aside(record, outcome.reason)
            self._spool.confirm()
        else:
            self._tell("the collector cannot take samples now, they wait in the spool", outcome.reason)
            self._back_off(outcome)

    def _accepted(self, accepted: Accepted) -> None:
        self._spool.confirm()
        self._back()
        if accepted.unknown:
            self._tell("the collector asks for what this version cannot do", "upgrade trimtab in the job")
        if accepted.commands:
            self._outlets.on_commands(accepted.commands)
        if not self._proven:
            self._proven = True
            self._outlets.after_first()

    def _back(self) -> None:
        """Note a success: an outage is over, and the next one is told again."""
        self._failures = 0
        if self._away_since is not None:
            LOG.info("trimtab: the collector is back after %.0f s", time.monotonic() - self._away_since)
            self._away_since = None
            self._told.clear()

    def _tell(self, what: str, reason: str) -> None:
        if what not in self._told:
            self._told.add(what)
            LOG.warning("trimtab: %s: %s", what, reason)

    def _back_off(self, failure: Later) -> None:
        self._failures += 1
        self._away_since = self._away_since or time.monotonic()
        self._rest(wait_seconds(self._failures, random.random(), failure.after))  # noqa: S311

    def _rest(self, seconds: float) -> None:
        """Wait, whatever batches arrive meanwhile; only the end of the job cuts it short."""
        until = time.monotonic() + seconds
        while self._deadline is None and (left := until - time.monotonic()) > 0:
            self._ring(left)
        if self._deadline is not None:
            time.sleep(max(0.0, min(until, self._deadline, time.monotonic() + 0.2) - time.monotonic()))

    def _rest_now_and_then(self) -> None:
        now = time.monotonic()
        if self._proven and now >= self._rested + _REST_SECONDS:
            self._rested = now
            self._outlets.at_rest()

    def _sleep(self) -> None:
        if self._deadline is None:
            self._ring(_REST_SECONDS)

    def _ring(self, timeout: float | None) -> None:
        try:
            self._bell.get(timeout=timeout)
        except Empty:
            return

    def _is_over(self) -> bool:
        if self._left:
            return True
        if self._deadline is None:
            return False
        if time.monotonic() >= self._deadline or self._failures >= _LAST_TRIES:
            return True
        return self._registered and self._spool.first() is None
