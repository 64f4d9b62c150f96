"""When the ring is emptied, what goes into a batch beside rows, and what happens at the bounds."""

from __future__ import annotations

import math
import threading
import time
from array import array
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import pytest

from trimtab import wire
from trimtab.guard import Guard, Tally
from trimtab.outbound.batches import SPOOL_FULL, Batches
from trimtab.outbound.drainer import Drainer, NoSampler, Pace, Sampler, Sources
from trimtab.outbound.recorder import Recorder
from trimtab.outbound.records import MetricSets
from trimtab.outbound.ring import PAGE, Ring, Slot
from trimtab.outbound.ring_writer import RingWriter
from trimtab.outbound.rings import InMemory, Rings
from trimtab.outbound.spool import MemorySpool

SLOW = Pace(quiet=600.0, heartbeat=600.0)


@dataclass
class Setup:
    """A drainer between a recorder and a spool in memory."""

    spool: MemorySpool
    ring: Ring
    largest_ring: int = 0
    drops: Tally = field(default_factory=Tally)
    guard: Guard = field(default_factory=Guard)
    spooled: threading.Condition = field(default_factory=threading.Condition)
    count: int = 0

    def __post_init__(self) -> None:
        sets = MetricSets(lambda *_: None)
        self.names = sets.names
        writer = RingWriter(self.ring, lambda: None)
        self.rings = Rings(writer, InMemory(), lambda _: None, self.guard, self.largest_ring)
        self.recorder = Recorder(writer, sets, self.drops, self._alarm)
        self.batches = Batches(self.rings, self.spool, 0, 0, self.drops)

    def make(self, pace: Pace, sampler: Sampler, poll: Callable[[], bool]) -> None:
        sources = Sources(sampler, self.drops, self.guard, self.names, self.rings.take_drops, poll)
        self.drainer = Drainer(self.batches, self.recorder, sources, self._note, pace)

    def _alarm(self) -> None:
        self.drainer.alarm()

    def _note(self) -> None:
        with self.spooled:
            self.count += 1
            self.spooled.notify_all()

    def wait_for(self, count: int) -> None:
        with self.spooled:
            assert self.spooled.wait_for(lambda: self.count >= count, 20)

    def row(self, step: int, loss: float = 1.0) -> None:
        self.recorder.standard(step, float(step), loss, 1.0, 0.1, 0.1, 1.0)

    def batches_spooled(self) -> list[wire.Batch]:
        found = []
        while (record := self.spool.first()) is not None:
            found.append(wire.decode(record.body))
            self.spool.confirm()
        return found


@contextmanager
def draining(
    pace: Pace = SLOW,
    sampler: Sampler | None = None,
    poll: Callable[[], bool] = lambda: False,
    capacity: int = 2**20,
    ring_bytes: int = 2**20,
    largest_ring: int = 0,
) -> Iterator[Setup]:
    setup = Setup(MemorySpool(capacity), Ring.anonymous(ring_bytes), largest_ring)
    setup.make(pace, sampler or NoSampler(), poll)
    setup.drainer.start()
    yield setup
    assert setup.drainer.stop(20)


def test_the_last_drain_takes_everything() -> None:
    with draining() as setup:
        for step in range(100):
            setup.row(step)
        assert setup.spool.first() is None
    (batch,) = setup.batches_spooled()
    assert (list(batch.step), batch.seq) == (list(range(100)), 0)


def test_an_alarm_is_answered_at_once_and_a_close_watch_follows() -> None:
    with draining() as setup:
        setup.row(1, math.nan)
        setup.wait_for(1)
        setup.row(2)
        setup.wait_for(2)
    assert [list(batch.step) for batch in setup.batches_spooled()] == [[1], [2]]


def test_the_limits_follow_the_last_rows() -> None:
    with draining() as setup:
        for step in range(40):
            setup.row(step, 2.0 + 0.1 * (step % 2))
        setup.drainer.wake()
        setup.wait_for(1)
    assert 2.1 < setup.recorder.loss_limit < 3.0
    assert setup.recorder.grad_norm_limit == pytest.approx(1.05)


def test_a_quiet_job_gives_a_sign_of_life() -> None:
    with draining(Pace(quiet=0.01, heartbeat=0.05)) as setup:
        setup.wait_for(2)
    assert {batch.rows for batch in setup.batches_spooled()} == {0}


def test_rows_are_dropped_and_counted_when_the_spool_is_full_and_events_are_kept() -> None:
    with draining(capacity=1) as setup:
        setup.row(1)
        setup.drainer.wake()
        setup.wait_for(1)
        setup.row(2)
        setup.recorder.event({"kind": "phase", "step": 2, "time": 2.0})
        setup.drainer.wake()
        setup.wait_for(2)
        assert [list(batch.step) for batch in setup.batches_spooled()] == [[1], []]
        setup.row(3)
    (last,) = setup.batches_spooled()
    assert list(last.step) == [3]
    (dropped,) = last.events
    assert (dropped["kind"], dropped["count"], dropped["reason"]) == (wire.SAMPLES_DROPPED, 1, SPOOL_FULL)


def test_events_of_a_full_spool_are_kept_with_their_seq() -> None:
    with draining(capacity=1) as setup:
        for step in (1, 2):
            setup.row(step)
            setup.recorder.event({"kind": "phase", "step": step, "time": 2.0})
            setup.drainer.wake()
            setup.wait_for(step)
    kept = [(batch.seq, len(batch.step), len(batch.events)) for batch in setup.batches_spooled()]
    assert kept[:2] == [(0, 1, 1), (1, 0, 1)]


def test_rows_that_found_no_room_in_the_ring_are_counted() -> None:
    with draining(ring_bytes=PAGE) as setup:
        for step in range(1000):
            setup.row(step)
    batches = setup.batches_spooled()
    rows = sum(batch.rows for batch in batches)
    dropped = sum(event["count"] for batch in batches for event in batch.events)
    assert 0 < rows < 1000
    assert rows + dropped == 1000


def test_attempts_are_numbered_each_from_zero() -> None:
    with draining() as setup:
        for attempt in range(3):
            setup.recorder.attempt = attempt
            setup.row(1)
    assert [(batch.attempt, batch.seq) for batch in setup.batches_spooled()] == [(0, 0), (1, 0), (2, 0)]


class Thermometer:
    """A sampler with one reading a call."""

    def drain(self) -> list[wire.Device]:
        column = array("d", [time.time()])
        return [wire.Device("h", "b", "u", "gpu", "n", "counter", column)]


def test_readings_ride_along_once_a_second_not_with_every_batch() -> None:
    with draining(sampler=Thermometer()) as setup:
        for step in range(3):
            setup.row(step, math.nan)
            setup.wait_for(step + 1)
    assert [len(batch.devices) for batch in setup.batches_spooled()] == [0, 0, 0, 1]


def test_an_error_of_its_own_is_told_and_the_rows_come_with_the_next_drain() -> None:
    errors = iter([LookupError("never seen")])

    def poll() -> bool:
        for error in errors:
            raise error
        return False

    with draining(poll=poll) as setup:
        setup.row(1)
    (batch,) = setup.batches_spooled()
    (told,) = batch.events
    assert list(batch.step) == [1]
    assert (told["kind"], told["error"]) == (wire.HOOK_ERROR, "LookupError: never seen")


def test_what_cannot_go_through_the_ring_goes_beside_it() -> None:
    with draining() as setup:
        setup.drainer.tell({"kind": wire.RUN_END, "step": 1, "time": 1.0})
    assert [event["kind"] for batch in setup.batches_spooled() for event in batch.events] == [wire.RUN_END]
    assert setup.ring[Slot.ENDED] == 1
