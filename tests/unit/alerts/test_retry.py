from __future__ import annotations

import random
from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trimtab_alerts.outcome import Ok, Permanent, Retry
from trimtab_alerts.retry import Done, GiveUp, RetryPolicy, TryAt, next_try
from trimtab_alerts.testing import sample_delivery

POLICY = RetryPolicy()
NOW = 1000.0


def wait(attempts: int, outcome: Retry, seed: int = 0) -> float:
    delivery = replace(sample_delivery(created_at=NOW), attempts=attempts)
    decision = next_try(delivery, outcome, NOW, random.Random(seed), POLICY)
    assert isinstance(decision, TryAt)
    return decision.at - NOW


def test_what_was_taken_is_done() -> None:
    assert next_try(sample_delivery(), Ok(), NOW, random.Random(0), POLICY) == Done()


def test_what_no_retry_can_help_is_given_up_with_its_reason() -> None:
    assert next_try(sample_delivery(), Permanent("400"), NOW, random.Random(0), POLICY) == GiveUp("400")


@given(st.integers(0, 10_000), st.integers())
def test_the_wait_doubles_up_to_its_most_and_is_spread_by_half(attempts: int, seed: int) -> None:
    whole = min(POLICY.first_seconds * 2.0 ** min(attempts, 60), POLICY.most_seconds)
    assert whole / 2 <= wait(attempts, Retry("503"), seed) <= whole


def test_two_failures_at_once_do_not_come_back_together() -> None:
    assert wait(5, Retry("503"), seed=1) != wait(5, Retry("503"), seed=2)


@pytest.mark.parametrize(("asked", "kept"), [(42.0, 42.0), (1e9, POLICY.most_asked_seconds)])
def test_a_pause_that_was_asked_for_is_kept_within_reason(asked: float, kept: float) -> None:
    assert wait(0, Retry("429", after_seconds=asked)) == kept


def test_a_short_pause_asked_for_does_not_undo_the_backoff() -> None:
    assert wait(8, Retry("429", after_seconds=1.0)) > 100.0


def test_what_keeps_failing_is_given_up_at_its_age() -> None:
    old = replace(sample_delivery(created_at=NOW - POLICY.give_up_after_seconds), attempts=7)
    decision = next_try(old, Retry("503"), NOW, random.Random(0), POLICY)
    assert decision == GiveUp("given up after 8 tries; the last: 503")


def test_what_waited_out_a_long_stop_still_gets_a_second_try() -> None:
    old = sample_delivery(created_at=NOW - 10 * POLICY.give_up_after_seconds)
    assert isinstance(next_try(old, Retry("503"), NOW, random.Random(0), POLICY), TryAt)
