"""The dispatcher on its threads, with real servers behind its notifiers."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable

from pydantic import SecretStr

from trimtab_alerts.dispatcher import Channel, Counts, Dispatcher
from trimtab_alerts.notifiers import WebhookNotifier
from trimtab_alerts.outbox import Delivery, InMemoryOutbox, OutboxUnavailable
from trimtab_alerts.outcome import Ok, Outcome, Retry
from trimtab_alerts.settings import WebhookSettings
from trimtab_alerts.testing import Receiver, Reply, sample_delivery


def webhook(name: str, server: Receiver) -> Channel:
    return Channel(name, WebhookNotifier(WebhookSettings(name=name, url=SecretStr(server.url))))


def wait_until(condition: Callable[[], bool], what: str, timeout: float = 30.0) -> None:
    deadline = time.monotonic() + timeout
    while not condition():
        assert time.monotonic() < deadline, f"{what}: not within {timeout} s"
        time.sleep(0.005)


def test_a_slow_destination_does_not_hold_up_the_others() -> None:
    release = threading.Event()
    with Receiver(default=Reply(hold=release)) as slow, Receiver() as quick:
        outbox = InMemoryOutbox()
        dispatcher = Dispatcher(outbox, [webhook("slow", slow), webhook("quick", quick)])
        dispatcher.start()
        outbox.add(sample_delivery("slow", f"run-1.{i}", ordinal=i) for i in range(5))
        outbox.add(sample_delivery("quick", f"run-1.{i}", ordinal=i) for i in range(5))
        dispatcher.wake()
        quick.wait_for(5)
        assert len(slow.wait_for(1)) == 1
        release.set()
        slow.wait_for(5)
        wait_until(lambda: outbox.depth() == 0, "the outbox empties")
        dispatcher.stop()
    assert dispatcher.counts() == {"slow": Counts(sent=5), "quick": Counts(sent=5)}


def test_what_is_added_is_told_without_being_woken() -> None:
    with Receiver() as server:
        outbox = InMemoryOutbox()
        dispatcher = Dispatcher(outbox, [webhook("ops", server)])
        dispatcher.start()
        outbox.add([sample_delivery("ops")])
        server.wait_for(1)
        dispatcher.stop()


def test_a_failed_send_is_tried_again_until_it_is_taken_in_order() -> None:
    with Receiver(Reply(500), Reply(500)) as server:
        outbox = InMemoryOutbox(
            [sample_delivery("ops"), sample_delivery("ops", ordinal=2, action="resolve", created_at=101.0)]
        )
        clock = Clock(step=500.0)
        dispatcher = Dispatcher(outbox, [webhook("ops", server)], clock=clock, rng=random.Random(0))
        dispatcher.start()
        wait_until(lambda: outbox.depth() == 0, "the outbox empties")
        dispatcher.stop()
    states = [request.json()["status"] for request in server.received]
    assert states == ["firing", "firing", "firing", "resolved"]


class Clock:
    """Goes on by `step` seconds each time it is read."""

    def __init__(self, step: float) -> None:
        self._now = 100.0
        self._step = step
        self._lock = threading.Lock()

    def __call__(self) -> float:
        with self._lock:
            self._now += self._step
            return self._now


class SlowClocked:
    """A notifier whose send takes an hour of the clock, and fails."""

    def __init__(self) -> None:
        self.now = 1000.0

    def notify(self, delivery: Delivery) -> Outcome:
        self.now += 3600.0
        return Retry("timeout")


def test_a_retry_is_reckoned_from_the_end_of_the_send() -> None:
    outbox, notifier = InMemoryOutbox([sample_delivery(created_at=1000.0)]), SlowClocked()
    dispatcher = Dispatcher(outbox, [Channel("pager", notifier)], clock=lambda: notifier.now)
    dispatcher.start()
    wait_until(lambda: outbox.get(sample_delivery().id).attempts >= 1, "it is tried")
    dispatcher.stop()
    assert outbox.get(sample_delivery().id).next_try_at > 4600.0


def test_it_stops_in_the_middle_of_a_backlog_and_leaves_the_rest_unsent() -> None:
    release = threading.Event()
    with Receiver(Reply(hold=release)) as server:
        rows = [sample_delivery("ops", f"run-1.{i}", ordinal=i) for i in range(10)]
        outbox = InMemoryOutbox(rows)
        dispatcher = Dispatcher(outbox, [webhook("ops", server)])
        dispatcher.start()
        server.wait_for(1)
        dispatcher.stop(timeout=0.0)
        release.set()
        dispatcher.stop(timeout=30.0)
        assert len(server.received) == 1
    assert outbox.depth() == 9


class Yes:
    def notify(self, delivery: Delivery) -> Outcome:
        return Ok()


class Flaky(InMemoryOutbox):
    """An outbox that is unavailable the first times that it is asked."""

    def __init__(self, failures: int) -> None:
        super().__init__()
        self.failures = failures

    def due(self, destination: str, now: float, limit: int) -> list[Delivery]:
        if self.failures:
            self.failures -= 1
            raise OutboxUnavailable("database is locked")
        return super().due(destination, now, limit)


def test_an_outbox_that_is_unavailable_for_a_while_is_waited_for() -> None:
    outbox = Flaky(failures=2)
    dispatcher = Dispatcher(outbox, [Channel("pager", Yes())])
    dispatcher.start()
    outbox.add([sample_delivery()])
    wait_until(lambda: outbox.depth() == 0, "the outbox empties")
    dispatcher.stop()


class Broken(InMemoryOutbox):
    def due(self, destination: str, now: float, limit: int) -> list[Delivery]:
        raise LookupError("the table is gone")


def test_a_thread_that_ends_by_a_fault_says_so() -> None:
    crashes: list[tuple[str, BaseException]] = []
    dispatcher = Dispatcher(
        Broken(), [Channel("pager", Yes())], on_crash=lambda name, error: crashes.append((name, error))
    )
    dispatcher.start()
    wait_until(lambda: bool(crashes), "the crash is told")
    dispatcher.stop()
    ((name, error),) = crashes
    assert (name, str(error)) == ("alerts/pager", "the table is gone")
