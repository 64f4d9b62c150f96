"""Sends a run that another process trains and logs: rows come with the times at which they were measured.

The way out is that of a watched job (ring, spool, sender), so what was taken is not lost if this process is
killed. There is neither a model nor a sensor: this machine may not be the one that trains.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Final

from trimtab import identity, notes, wire
from trimtab.collector import page_of, transport_to
from trimtab.guard import Guard
from trimtab.job_settings import JobSettings
from trimtab.outbound.drainer import NoSampler
from trimtab.outbound.pipeline import Bounds, Ends, Pipeline
from trimtab.outbound.records import STANDARD_NAMES
from trimtab.vocabulary import NOT_MEASURED

MOST_NAMES: Final = 1000
"""So many metrics of a run are sent at most, the first that come."""

_ROW_BYTES: Final = 48
_RING_SHARE: Final = 4
_DRAIN_SECONDS: Final = 10.0


@dataclass(frozen=True, slots=True)
class Relayed:
    """The run that is sent: its id, what groups it, what people call it, and what is kept with it."""

    run: str
    project: str
    name: str | None = None
    config: Mapping[str, Any] | None = None

    def registration(self) -> dict[str, Any]:
        """The body with which the run is registered."""
        body = {"project": self.project, "name": self.name, "world_size": 1, "config": self.config}
        return {key: value for key, value in body.items() if value is not None}


class Relay:
    """Takes rows from one thread; `row` waits where they come faster than they can be packed.

    A process that relays a run again takes an attempt that no other has used.

    Raises:
        OSError: the data folder cannot be used.
    """

    def __init__(self, relayed: Relayed, settings: JobSettings) -> None:
        self.run = relayed.run
        self._folder = settings.data_folder(os.environ)
        self._attempt = notes.next_attempt(self._folder, relayed.run, 0, 0)
        who = identity.this_process(relayed.run, self._attempt, 0, relayed.registration(), settings.url)
        self.url = page_of(relayed.run, settings)
        self._names: dict[str, None] = {}
        self._turns = _Turns()
        ends = Ends(transport_to(settings), NoSampler(), self._turns.poll, lambda _: None, lambda _: None)
        bounds = Bounds(settings.ring_bytes, settings.spool_bytes)
        self._path = Pipeline(who, settings.spool_root(os.environ), bounds, ends, Guard())
        self._at_once = settings.ring_bytes // _RING_SHARE
        self._waiting = 0
        self._step = 0
        self._path.start()

    def begin(self, step: int, seconds: float) -> None:
        """Say that the run begins, or is followed again, after `step`, at `seconds` of Unix time."""
        self._tell(wire.RUN_START, step, seconds, rollback="off", host=identity.host_name(), rank=0)

    def begin_attempt(self) -> None:
        """Begin the next attempt: steps are lived again."""
        self._attempt += 1
        notes.note_attempt(self._folder, self.run, 0, self._attempt)
        self._path.recorder.attempt += 1

    def row(self, step: int, seconds: float, values: Mapping[str, float]) -> None:
        """Send what was measured at a step, at `seconds` of Unix time."""
        for name in values.keys() - self._names.keys() - set(STANDARD_NAMES):
            if len(self._names) < MOST_NAMES:
                self._names[name] = None
        every = dict.fromkeys(self._names, NOT_MEASURED)  # one set of names: it only grows
        every |= {name: value for name, value in values.items() if name in every or name in STANDARD_NAMES}
        self._path.recorder.row(step, seconds, every)
        self._step = step
        self._waiting += _ROW_BYTES + 8 * (len(self._names) + len(STANDARD_NAMES))
        if self._waiting > self._at_once:
            self.settle()

    def settle(self) -> None:
        """Wait until what was taken is in the spool."""
        self._waiting = 0
        self._turns.wait_for_drain(self._path.recorder.alarm, _DRAIN_SECONDS)

    def close(self, reason: str, seconds: float) -> None:
        """End the run as finished, and send what is left, for so many seconds at most."""
        self._tell(wire.RUN_END, self._step, time.time(), status="finished", reason=reason)
        self._path.close(seconds)

    def _tell(self, kind: str, step: int, seconds: float, **fields: Any) -> None:
        event = {"kind": kind, "step": step, "time": seconds, **fields}
        if not self._path.recorder.event(event):
            self._path.tell(event)


class _Turns:
    """Counts the drainer's turns: it polls after each drain, and again before the next."""

    def __init__(self) -> None:
        self._polls = 0
        self._polled = threading.Condition()

    def poll(self) -> bool:
        """Note that the drainer asked; no row is on a device."""
        with self._polled:
            self._polls += 1
            self._polled.notify_all()
        return False

    def wait_for_drain(self, wake: Callable[[], None], seconds: float) -> bool:
        """Wait until a whole drain has begun and ended, for so many seconds at most."""
        with self._polled:
            # Where a drain is under way that began too early: its end, the beginning of a whole one, its end.
            until = self._polls + 3
            deadline = time.monotonic() + seconds
            while self._polls < until and (left := deadline - time.monotonic()) > 0:
                wake()
                self._polled.wait(min(left, 0.05))
        return self._polls >= until
