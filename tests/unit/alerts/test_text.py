from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from trimtab_alerts.http import outcome_of, retry_after
from trimtab_alerts.outcome import Ok, Permanent, Retry
from trimtab_alerts.text import rfc3339, run_page, shorten, strike_out


@given(st.floats(allow_nan=False, allow_infinity=False))
def test_every_finite_time_has_a_form(time: float) -> None:
    assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", rfc3339(time))


def test_a_runs_page_quotes_its_id() -> None:
    assert run_page("http://t.example/", "a b/c") == "http://t.example/runs/a%20b%2Fc"
    assert run_page(None, "a") is None


@given(st.text(), st.integers(1, 50))
def test_what_is_shortened_fits(text: str, most: int) -> None:
    assert len(shorten(text, most)) <= most
    assert len(text) > most or shorten(text, most) == text


def test_a_secret_within_a_secret_is_struck_out_whole() -> None:
    assert strike_out("x abcdef y abc", ["abc", "abcdef", ""]) == "x <secret> y <secret>"


@pytest.mark.parametrize("status", range(200, 600))
def test_every_status_is_done_worth_a_retry_or_final(status: int) -> None:
    outcome = outcome_of(status, "said", 7.0)
    if status < 300:
        assert outcome == Ok("said")
    elif status in {408, 425, 429} or status >= 500:
        assert outcome == Retry("said", 7.0)
    else:
        assert outcome == Permanent("said")


NOW = "Wed, 21 Oct 2026 07:28:00 GMT"


@pytest.mark.parametrize(
    ("value", "date", "seconds"),
    [
        ("", "", None),
        ("7", "", 7.0),
        (" 120 ", NOW, 120.0),
        ("-5", NOW, None),
        ("soon", NOW, None),
        ("9" * 400, NOW, 999_999_999.0),
        ("Wed, 21 Oct 2026 07:28:30 GMT", "", None),
        ("Wed, 21 Oct 2026 07:28:30 GMT", NOW, 30.0),
        ("Wed, 21 Oct 2026 07:27:00 GMT", NOW, 0.0),
        ("Wed, 21 Oct 2026 07:28:30 -0000", NOW, None),
    ],
)
def test_the_pause_asked_for_is_read_as_a_number_or_a_date(
    value: str, date: str, seconds: float | None
) -> None:
    assert retry_after(value, date) == seconds
