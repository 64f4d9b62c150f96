from __future__ import annotations

import logging
import random

import pytest

from trimtab_alerts.dispatcher import Channel, Counts, Dispatcher
from trimtab_alerts.outbox import Delivery, InMemoryOutbox
from trimtab_alerts.outcome import Ok, Outcome, Permanent, Retry
from trimtab_alerts.rate import TokenBucket
from trimtab_alerts.retry import RetryPolicy
from trimtab_alerts.testing import sample_delivery


class Recorder:
    """A notifier that keeps what it was given and answers from a script, then with yes."""

    def __init__(self, *outcomes: Outcome) -> None:
        self.told: list[Delivery] = []
        self._outcomes = list(outcomes)

    def notify(self, delivery: Delivery) -> Outcome:
        self.told.append(delivery)
        return self._outcomes.pop(0) if self._outcomes else Ok()

    @property
    def actions(self) -> list[str]:
        return [delivery.action for delivery in self.told]


def dispatcher(
    outbox: InMemoryOutbox, policy: RetryPolicy | None = None, **notifiers: Recorder
) -> Dispatcher:
    channels = [Channel(name, notifier) for name, notifier in notifiers.items()]
    return Dispatcher(outbox, channels, rng=random.Random(0), policy=policy)


def run_until_quiet(each: Dispatcher, now: float = 100.0) -> None:
    while each.run_once(now):
        pass


def test_a_delivery_is_told_once() -> None:
    outbox, pager = InMemoryOutbox([sample_delivery()]), Recorder()
    each = dispatcher(outbox, pager=pager)
    run_until_quiet(each)
    assert pager.actions == ["trigger"]
    assert outbox.depth() == 0
    assert each.counts() == {"pager": Counts(sent=1)}


def test_the_trigger_is_told_before_the_resolve_however_often_it_fails() -> None:
    outbox = InMemoryOutbox([sample_delivery(), sample_delivery(ordinal=2, action="resolve")])
    pager = Recorder(Retry("503"), Retry("timeout"))
    each = dispatcher(outbox, pager=pager)
    for now in range(100, 200):
        each.run_once(float(now))
    assert pager.actions == ["trigger", "trigger", "trigger", "resolve"]
    assert [delivery.attempts for delivery in pager.told] == [0, 1, 2, 0]
    assert each.counts()["pager"] == Counts(sent=2, retried=2)


def test_a_pause_that_is_asked_for_is_kept() -> None:
    outbox, pager = InMemoryOutbox([sample_delivery()]), Recorder(Retry("429", after_seconds=60.0))
    each = dispatcher(outbox, pager=pager)
    for now in (100.0, 130.0, 159.9):
        each.run_once(now)
    assert len(pager.told) == 1
    each.run_once(160.0)
    assert len(pager.told) == 2


def test_a_dead_letter_is_kept_counted_and_logged_and_what_follows_goes_on(
    caplog: pytest.LogCaptureFixture,
) -> None:
    trigger = sample_delivery()
    outbox = InMemoryOutbox([trigger, sample_delivery(ordinal=2, action="resolve")])
    pager = Recorder(Permanent("400 invalid event"))
    each = dispatcher(outbox, pager=pager)
    run_until_quiet(each)
    assert (outbox.get(trigger.id).state, outbox.get(trigger.id).error) == ("dead", "400 invalid event")
    assert pager.actions == ["trigger", "resolve"]
    assert each.counts()["pager"] == Counts(sent=1, dead=1)
    (record,) = (record for record in caplog.records if record.levelno == logging.ERROR)
    for part in ("pager", "trigger", trigger.dedup_key, "given up after 1 tries", "400 invalid event"):
        assert part in record.getMessage()


def test_what_keeps_failing_ends_as_a_dead_letter() -> None:
    outbox = InMemoryOutbox([sample_delivery(created_at=0.0)])
    pager = Recorder(*[Retry("503")] * 1000)
    each = dispatcher(outbox, RetryPolicy(give_up_after_seconds=3600.0), pager=pager)
    for now in range(0, 8000, 10):
        each.run_once(float(now))
    assert outbox.depth() == 0
    assert each.counts()["pager"].dead == 1
    assert 15 < len(pager.told) < 40


def test_a_failing_destination_does_not_hold_up_the_others() -> None:
    outbox = InMemoryOutbox([sample_delivery("pager"), sample_delivery("chat")])
    pager, chat = Recorder(*[Retry("503")] * 10), Recorder()
    dispatcher(outbox, pager=pager, chat=chat).run_once(100.0)
    assert chat.actions == ["trigger"]


def test_what_was_meant_for_a_destination_that_is_gone_is_a_dead_letter() -> None:
    orphan = sample_delivery("gone")
    outbox = InMemoryOutbox([orphan, sample_delivery("gone", ordinal=2, action="resolve")])
    outbox.retry(orphan.id, 1e9, "503")
    each = dispatcher(outbox, pager=Recorder())
    each.run_once(100.0)
    assert outbox.depth() == 0
    assert outbox.get(orphan.id).error == "destination 'gone' is no longer set"
    assert each.counts()["gone"] == Counts(dead=2)


def test_the_rate_limit_delays_and_costs_no_attempt() -> None:
    rows = [sample_delivery(incident=f"run-1.{i}", ordinal=i + 1) for i in range(10)]
    outbox, pager = InMemoryOutbox(rows), Recorder()
    each = Dispatcher(outbox, [Channel("pager", pager, TokenBucket(per_minute=60, burst=4))])
    assert [each.run_once(100.0), each.run_once(100.5), each.run_once(103.0)] == [4, 0, 3]
    assert all(delivery.attempts == 0 for delivery in pager.told)
    assert [delivery.id for delivery in pager.told] == [row.id for row in rows[:7]]


class Faulty:
    def notify(self, delivery: Delivery) -> Outcome:
        raise KeyError("s3cret")


def test_a_fault_in_a_notifier_costs_one_delivery_and_is_told_without_its_text(
    caplog: pytest.LogCaptureFixture,
) -> None:
    row = sample_delivery()
    outbox = InMemoryOutbox([row, sample_delivery("chat")])
    chat = Recorder()
    Dispatcher(outbox, [Channel("pager", Faulty()), Channel("chat", chat)]).run_once(100.0)
    assert outbox.get(row.id).error == "a fault in the notifier: KeyError"
    assert "test_dispatcher.py" in caplog.text
    assert "s3cret" not in caplog.text.replace('raise KeyError("s3cret")', "")
    assert chat.actions == ["trigger"]
