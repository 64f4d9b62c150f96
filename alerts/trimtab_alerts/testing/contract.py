"""What every outbox must do.

A test module of an implementation holds this and no more:

    class TestMyOutbox(OutboxContract[MyOutbox]):
        def outbox(self) -> MyOutbox: ...
        def add(self, outbox: MyOutbox, deliveries: Sequence[Delivery]) -> None: ...
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import Generic, TypeVar

from trimtab_alerts.outbox import Delivery, OutboxStore
from trimtab_alerts.testing.samples import sample_delivery

Store = TypeVar("Store", bound=OutboxStore)


class OutboxContract(ABC, Generic[Store]):
    """The contract of OutboxStore, one clause a test."""

    @abstractmethod
    def outbox(self) -> Store:
        """A fresh, empty outbox."""

    @abstractmethod
    def add(self, outbox: Store, deliveries: Sequence[Delivery]) -> None:
        """Add deliveries the way this implementation does."""

    def holding(self, *deliveries: Delivery) -> Store:
        """A fresh outbox that holds these."""
        outbox = self.outbox()
        self.add(outbox, deliveries)
        return outbox

    def test_a_new_delivery_is_due_at_once_and_comes_back_as_it_was(self) -> None:
        """Whatever the clock says, and nothing of it is lost."""
        first = sample_delivery()
        assert self.holding(first).due("pager", 100.0, 10) == [first]

    def test_deliveries_are_due_in_the_order_they_were_added(self) -> None:
        """Of several alerts the first told is the first that was added, up to the limit."""
        rows = [sample_delivery(incident=f"run-1.{i}", ordinal=i + 1) for i in (2, 0, 1)]
        outbox = self.holding(*rows)
        assert outbox.due("pager", 100.0, 10) == rows
        assert outbox.due("pager", 100.0, 2) == rows[:2]

    def test_each_destination_has_its_own(self) -> None:
        """A destination is given what is meant for it."""
        mine, other = sample_delivery("pager"), sample_delivery("chat")
        outbox = self.holding(mine, other)
        assert outbox.due("pager", 100.0, 10) == [mine]
        assert outbox.due("chat", 100.0, 10) == [other]
        assert sorted(outbox.destinations()) == ["chat", "pager"]

    def test_a_resolve_waits_for_its_trigger(self) -> None:
        """One dedup_key has one delivery due at a time, in the order of ordinals."""
        trigger, resolve = sample_delivery(), sample_delivery(ordinal=2, action="resolve")
        outbox = self.holding(resolve, trigger)
        assert outbox.due("pager", 100.0, 10) == [trigger]
        outbox.done(trigger.id)
        assert outbox.due("pager", 100.0, 10) == [resolve]

    def test_a_trigger_that_waits_for_its_retry_holds_its_resolve_back(self) -> None:
        """Nothing overtakes, and no other alert is held up."""
        trigger, resolve = sample_delivery(), sample_delivery(ordinal=2, action="resolve")
        other = sample_delivery(incident="run-1.1", ordinal=3)
        outbox = self.holding(trigger, resolve, other)
        outbox.retry(trigger.id, 160.0, "503")
        assert outbox.due("pager", 159.9, 10) == [other]
        due = outbox.due("pager", 160.0, 10)
        assert [row.id for row in due] == [trigger.id, other.id]
        assert (due[0].attempts, due[0].next_try_at, due[0].error) == (1, 160.0, "503")

    def test_retries_are_counted(self) -> None:
        """Each retry is one attempt more."""
        row = sample_delivery()
        outbox = self.holding(row)
        for attempt in (1, 2, 3):
            outbox.retry(row.id, 100.0 + attempt, "timeout")
        assert outbox.due("pager", 200.0, 10)[0].attempts == 3

    def test_a_dead_delivery_does_not_hold_up_what_follows(self) -> None:
        """Neither the same alert's resolve, nor anything else."""
        trigger, resolve = sample_delivery(), sample_delivery(ordinal=2, action="resolve")
        outbox = self.holding(trigger, resolve)
        outbox.dead(trigger.id, "400")
        assert outbox.due("pager", 100.0, 10) == [resolve]

    def test_what_is_done_or_dead_is_never_due_again(self) -> None:
        """And is no part of the outbox's depth."""
        first, second = sample_delivery(), sample_delivery(incident="run-1.1", ordinal=2)
        outbox = self.holding(first, second)
        outbox.done(first.id)
        outbox.dead(second.id, "400")
        assert outbox.due("pager", 1e12, 10) == []
        assert (outbox.depth(), outbox.oldest(), outbox.destinations()) == (0, None, [])

    def test_the_same_delivery_twice_is_one(self) -> None:
        """Added again while pending, or after it was sent."""
        row = sample_delivery()
        outbox = self.holding(row, row)
        assert outbox.depth() == 1
        outbox.done(row.id)
        self.add(outbox, [row])
        assert outbox.due("pager", 100.0, 10) == []

    def test_depth_and_oldest_tell_of_the_backlog(self) -> None:
        """The age is that of creation, whatever was tried since."""
        old = sample_delivery(created_at=50.0)
        young = sample_delivery(incident="run-1.1", ordinal=2, created_at=70.0)
        outbox = self.holding(young, old)
        outbox.retry(old.id, 500.0, "503")
        assert (outbox.depth(), outbox.oldest()) == (2, 50.0)
