"""What to do after a send, decided from values alone: no clock, no store."""

from __future__ import annotations

import random
from dataclasses import dataclass

from trimtab_alerts.outbox import Delivery
from trimtab_alerts.outcome import Ok, Outcome, Permanent


@dataclass(frozen=True, slots=True)
class RetryPolicy:
    """How long to wait between tries, and when to give up, in seconds.

    The wait doubles from `first_seconds` to `most_seconds` ("a backoff of a few minutes", says PagerDuty's
    overview of its Events API), spread by up to half so that failed sends do not come back together.
    """

    first_seconds: float = 1.0
    most_seconds: float = 300.0
    most_asked_seconds: float = 3600.0
    give_up_after_seconds: float = 86_400.0


@dataclass(frozen=True, slots=True)
class Done:
    """The destination took it."""


@dataclass(frozen=True, slots=True)
class TryAt:
    """Try again, not before `at` (Unix seconds)."""

    at: float
    error: str


@dataclass(frozen=True, slots=True)
class GiveUp:
    """Put it with the dead letters."""

    error: str


Decision = Done | TryAt | GiveUp


def next_try(
    delivery: Delivery, outcome: Outcome, now: float, rng: random.Random, policy: RetryPolicy
) -> Decision:
    """Decide what follows from a send's outcome.

    A pause that the destination asked for is kept, up to an hour. The age at which a delivery is given up
    counts from its creation, but each is tried at least twice.
    """
    if isinstance(outcome, Ok):
        return Done()
    if isinstance(outcome, Permanent):
        return GiveUp(outcome.error)
    if delivery.attempts > 0 and now - delivery.created_at >= policy.give_up_after_seconds:
        tries = delivery.attempts + 1
        return GiveUp(f"given up after {tries} tries; the last: {outcome.error}")
    wait = _backoff(delivery.attempts, rng, policy)
    if outcome.after_seconds is not None:
        wait = max(wait, min(outcome.after_seconds, policy.most_asked_seconds))
    return TryAt(now + wait, outcome.error)


def _backoff(attempts: int, rng: random.Random, policy: RetryPolicy) -> float:
    doubled = policy.first_seconds * 2.0 ** min(attempts, 60)
    return min(doubled, policy.most_seconds) * rng.uniform(0.5, 1.0)
