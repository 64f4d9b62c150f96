"""The outbox: what is still to be told, to whom, in what order.

A delivery is written in the same transaction as the alert it tells of, so no crash separates the two. It
leaves the outbox when its destination took it (done) or never will (dead). Delivery is at least once: a crash
between a destination's yes and `done` sends it again under the same `dedup_key` and id, by which the
destination knows it.

    pending --ok--> done
    pending --retry--> pending, not before next_try_at
    pending --permanent, or given up--> dead
"""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Literal, Protocol

import msgspec

from trimtab_alerts.alert import Action, Alert, AlertTransition

DeliveryState = Literal["pending", "done", "dead"]


class OutboxUnavailable(Exception):  # noqa: N818 - a state, told as such
    """The outbox cannot be read or written now (locked, disk full): try again later."""


@dataclass(frozen=True, slots=True)
class Delivery:
    """One thing to tell one destination. Times are Unix seconds of the collector's clock.

    `body` is the alert as JSON: a destination's own form, and its secrets, are put in when it is sent, and so
    are never stored. Of one (destination, dedup_key), the lower `ordinal` goes first. `attempts` counts the
    sends that failed.
    """

    id: str
    destination: str
    dedup_key: str
    ordinal: int
    action: Action
    body: str
    created_at: float
    attempts: int = 0
    next_try_at: float = 0.0
    state: DeliveryState = "pending"
    error: str | None = None

    def alert(self) -> Alert:
        """The alert told.

        Raises:
            msgspec.ValidationError: the body is not an alert.
        """
        return msgspec.json.decode(self.body, type=Alert)


def delivery_of(transition: AlertTransition, destination: str, now: float) -> Delivery:
    """The delivery of a transition to a destination, due at once; its id depends on these two alone."""
    key = transition.alert.dedup_key
    identity = f"{destination}\0{key}\0{transition.ordinal}"
    return Delivery(
        id=hashlib.sha256(identity.encode()).hexdigest()[:32],
        destination=destination,
        dedup_key=key,
        ordinal=transition.ordinal,
        action=transition.action,
        body=msgspec.json.encode(transition.alert).decode(),
        created_at=now,
    )


class OutboxStore(Protocol):
    """What the dispatcher needs of a store. Any method may raise OutboxUnavailable.

    `trimtab_alerts.testing.OutboxContract` says in tests what each must do.
    """

    def due(self, destination: str, now: float, limit: int) -> list[Delivery]:
        """At most `limit` pending deliveries that may be sent now, in the order they were added.

        Of each dedup_key only the one with the lowest ordinal, and that only if its next_try_at has come:
        what comes after a delivery waits until that one is done or dead.
        """

    def done(self, delivery_id: str) -> None:
        """The destination took it."""

    def retry(self, delivery_id: str, at: float, error: str) -> None:
        """It failed with `error`: one more attempt counted, the next not before `at`."""

    def dead(self, delivery_id: str, error: str) -> None:
        """It will never be taken: kept with its error, never due again."""

    def destinations(self) -> list[str]:
        """The destinations that have pending deliveries, each once."""

    def depth(self) -> int:
        """How many deliveries are pending."""

    def oldest(self) -> float | None:
        """The created_at of the oldest pending delivery, or none."""


class InMemoryOutbox:
    """An outbox that lives as long as its process: for tests, and to try a set of destinations out."""

    def __init__(self, deliveries: Iterable[Delivery] = ()) -> None:
        self._lock = threading.Lock()
        self._rows: dict[str, Delivery] = {}
        self.add(deliveries)

    def add(self, deliveries: Iterable[Delivery]) -> None:
        """Take deliveries; one whose id is known is passed over."""
        with self._lock:
            for delivery in deliveries:
                self._rows.setdefault(delivery.id, delivery)

    def get(self, delivery_id: str) -> Delivery:
        """The delivery as it stands."""
        with self._lock:
            return self._rows[delivery_id]

    def due(self, destination: str, now: float, limit: int) -> list[Delivery]:
        """See OutboxStore."""
        heads: dict[str, Delivery] = {}
        for row in self._pending():
            if row.destination == destination:
                head = heads.setdefault(row.dedup_key, row)
                heads[row.dedup_key] = min(head, row, key=lambda each: each.ordinal)
        return [row for row in heads.values() if row.next_try_at <= now][:limit]

    def done(self, delivery_id: str) -> None:
        """See OutboxStore."""
        self._change(delivery_id, state="done", error=None)

    def retry(self, delivery_id: str, at: float, error: str) -> None:
        """See OutboxStore."""
        attempts = self.get(delivery_id).attempts + 1
        self._change(delivery_id, attempts=attempts, next_try_at=at, error=error)

    def dead(self, delivery_id: str, error: str) -> None:
        """See OutboxStore."""
        self._change(delivery_id, state="dead", error=error)

    def destinations(self) -> list[str]:
        """See OutboxStore."""
        return list(dict.fromkeys(row.destination for row in self._pending()))

    def depth(self) -> int:
        """See OutboxStore."""
        return len(self._pending())

    def oldest(self) -> float | None:
        """See OutboxStore."""
        return min((row.created_at for row in self._pending()), default=None)

    def _pending(self) -> list[Delivery]:
        with self._lock:
            return [row for row in self._rows.values() if row.state == "pending"]

    def _change(self, delivery_id: str, **changes: object) -> None:
        with self._lock:
            self._rows[delivery_id] = replace(self._rows[delivery_id], **changes)  # type: ignore[arg-type]
