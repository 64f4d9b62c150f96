from __future__ import annotations

from itertools import accumulate

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trimtab_alerts.notifiers.pagerduty import rate_limit
from trimtab_alerts.rate import TokenBucket


@given(st.lists(st.floats(0, 5), min_size=1, max_size=400))
def test_no_minute_has_more_pages_than_pagerduty_takes(pauses: list[float]) -> None:
    bucket = rate_limit()
    sent = [now for now in accumulate(pauses) if bucket.take(now) == 0.0]
    for start in sent:
        assert sum(start <= each < start + 60 for each in sent) <= 120


def test_a_sender_that_keeps_to_the_waits_gets_its_rate() -> None:
    bucket, now, sent = TokenBucket(per_minute=60, burst=5), 0.0, 0
    while now < 100.0:
        pause = bucket.take(now)
        sent += pause == 0.0
        now += max(pause, 1e-9)
    assert sent == pytest.approx(5 + 100, abs=1)


def test_a_burst_goes_at_once_and_then_one_waits() -> None:
    bucket = TokenBucket(per_minute=60, burst=2)
    assert [bucket.take(0.0) for _ in range(3)] == [0.0, 0.0, 1.0]
    assert bucket.take(1.0) == 0.0


def test_a_clock_that_goes_back_adds_nothing() -> None:
    bucket = TokenBucket(per_minute=60, burst=1)
    assert bucket.take(100.0) == 0.0
    assert bucket.take(0.0) > 0.0
    assert bucket.take(101.0) == 0.0


def test_without_a_rate_nothing_waits() -> None:
    bucket = TokenBucket()
    assert {bucket.take(0.0) for _ in range(1000)} == {0.0}


@pytest.mark.parametrize(("per_minute", "burst"), [(0.0, 1), (-1.0, 1), (1.0, 0)])
def test_a_rate_that_lets_nothing_through_is_refused(per_minute: float, burst: int) -> None:
    with pytest.raises(ValueError, match="rate above 0"):
        TokenBucket(per_minute, burst)
