"""Batches leave the spool in order, each confirmed once, whatever the collector answers."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import pytest

from trimtab import wire
from trimtab.guard import Guard
from trimtab.identity import RunIdentity
from trimtab.outbound.client import Client
from trimtab.outbound.sender import Outlets, Sender
from trimtab.outbound.spool import MemorySpool, SpoolRecord
from trimtab.outbound.transport import Answer
from trimtab.testing import CollectorDouble, InMemoryTransport, Reply, problem
from trimtab.vocabulary import Command

IDENTITY = RunIdentity("run", 0, 0, 1, "host", "boot", {"project": "p"})


def record(seq: int) -> SpoolRecord:
    batch = wire.Batch(rank=0, seq=seq, events=[{"kind": "phase", "step": seq, "time": 1.0}])
    return SpoolRecord(0, seq, 0, 0, wire.encode(batch))


@dataclass
class Told:
    """What the sender told."""

    commands: list[Command] = field(default_factory=list)
    pages: list[str] = field(default_factory=list)
    set_aside: list[tuple[int, str]] = field(default_factory=list)
    order: list[str] = field(default_factory=list)


@dataclass
class Setup:
    """A sender, what it sends and whom it tells."""

    sender: Sender
    spool: MemorySpool
    collector: CollectorDouble
    transport: InMemoryTransport
    told: Told
    guard: Guard

    def send(self, *seqs: int) -> None:
        for seq in seqs:
            self.spool.append(record(seq))
            self.sender.notify()

    def seqs(self) -> list[int]:
        return [batch.seq for batch in self.collector.batches()]

    def wait_for(self, count: int) -> None:
        self.collector.wait_until(lambda collector: len(collector.received) >= count)


@contextmanager
def sending(*replies: Reply) -> Iterator[Setup]:
    collector, told, spool, guard = (
        CollectorDouble(replies=list(replies)),
        Told(),
        MemorySpool(2**20),
        Guard(),
    )
    transport = InMemoryTransport(collector)
    outlets = Outlets(
        on_commands=told.commands.extend,
        on_page=told.pages.append,
        set_aside=lambda refused, reason: told.set_aside.append((refused.seq, reason)),
        before_first=lambda: told.order.append("before"),
        after_first=lambda: told.order.append("after"),
        at_rest=lambda: told.order.append("rest"),
    )
    sender = Sender(Client(transport), IDENTITY, spool, outlets, guard)
    sender.start()
    setup = Setup(sender, spool, collector, transport, told, guard)
    yield setup
    assert sender.close(10.0)
    assert guard.errors.take() == {}


def test_the_run_is_registered_then_batches_go_in_order() -> None:
    with sending() as setup:
        setup.send(0, 1, 2)
        setup.wait_for(3)
    assert setup.collector.registrations == {"run": {"project": "p", "run": "run"}}
    assert setup.told.pages == ["http://collector.invalid/?run=run"]
    assert setup.seqs() == [0, 1, 2]
    assert setup.told.order == ["before", "after", "rest"], "what other ranks left is looked for at the end"


def test_after_an_outage_all_is_sent_in_order() -> None:
    with sending() as setup:
        setup.send(0)
        setup.wait_for(1)
        setup.transport.reachable = False
        setup.send(*range(1, 50))
        setup.transport.reachable = True
        setup.wait_for(50)
    assert setup.seqs() == list(range(50))


def reply(answer: Answer) -> Reply:
    return lambda: answer


@pytest.mark.parametrize(
    "trouble",
    [
        Answer(500, b"oops"),
        Answer(503, b"", retry_after=0.0),
        Answer(429, b"{}"),
        Answer(200, b"<html>welcome</html>"),
        Answer(200, b'{"ack": 99}'),
        problem(403, "log in"),
    ],
)
def test_trouble_that_passes_loses_nothing(trouble: Answer) -> None:
    with sending(lambda: None, reply(trouble), reply(trouble)) as setup:
        setup.send(0, 1)
        setup.wait_for(2)
    assert setup.seqs() == [0, 1]
    assert setup.told.set_aside == []


def test_trouble_at_the_registration_passes_too() -> None:
    with sending(reply(Answer(502, b"")), reply(problem(422, "not now"))) as setup:
        setup.send(0)
        setup.wait_for(1)
    assert setup.seqs() == [0]


def test_a_batch_that_is_refused_for_good_is_set_aside_and_the_next_goes_on() -> None:
    with sending(lambda: None, reply(problem(400, "seq: -1: give 0 or more"))) as setup:
        setup.send(0, 1, 2)
        setup.wait_for(2)
    assert setup.seqs() == [1, 2]
    assert setup.told.set_aside == [(0, "400: seq: -1: give 0 or more")]


def test_a_collector_that_forgot_the_run_is_told_of_it_again() -> None:
    with sending() as setup:
        setup.send(0)
        setup.wait_for(1)
        setup.collector.registrations.clear()
        setup.send(1, 2)
        setup.wait_for(3)
    assert setup.seqs() == [0, 1, 2]


def test_commands_are_handed_on() -> None:
    with sending() as setup:
        setup.collector.commands = [Command(id="c1", kind="stop")]
        setup.send(0)
        setup.wait_for(1)
    assert [command.id for command in setup.told.commands] == ["c1"]


def test_closing_does_not_wait_for_a_collector_that_hangs() -> None:
    hang = threading.Event()

    def hangs() -> None:
        hang.wait(30)

    with sending(lambda: None, hangs) as setup:
        setup.send(0)
        setup.collector.wait_until(lambda collector: collector.requests == 2)
        started = time.monotonic()
        assert not setup.sender.close(0.2)
        assert time.monotonic() - started < 10
        hang.set()
        setup.wait_for(1)
        assert setup.spool.first() == record(0), "a sender that was left does not touch the spool any more"
        setup.spool.confirm()


def test_closing_gives_up_on_a_collector_that_is_not_there() -> None:
    with sending() as setup:
        setup.transport.reachable = False
        setup.send(0)
        started = time.monotonic()
        assert not setup.sender.close(60.0)
        assert time.monotonic() - started < 30
        setup.spool.confirm()


def test_an_error_of_its_own_is_counted_and_the_thread_lives_on() -> None:
    errors = iter([ZeroDivisionError("never seen")])

    def fails_once() -> None:
        for error in errors:
            raise error

    with sending(lambda: None, as_reply(fails_once)) as setup:
        setup.send(0)
        setup.wait_for(1)
        assert setup.guard.errors.take() == {("sender", "ZeroDivisionError: never seen"): 1}


def as_reply(act: Callable[[], None]) -> Reply:
    def run() -> None:
        act()

    return run
