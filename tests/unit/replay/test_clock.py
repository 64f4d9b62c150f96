"""Times as logs and tables write them."""

from __future__ import annotations

import pytest

from trimtab_monitor.replay.clock import time_in, unix_seconds


@pytest.mark.parametrize(
    ("raw", "seconds"),
    [
        (1.7e9, 1.7e9),
        ("1700000000.25", 1700000000.25),
        (1_700_000_000_250, 1700000000.25),
        (1_700_000_000_250_000, 1700000000.25),
        (1_700_000_000_250_000_000, 1700000000.25),
        ("2023-11-14T22:13:20Z", 1.7e9),
        ("2023-11-14 23:13:20,500+01:00", 1700000000.5),
    ],
)
def test_a_time_is_known_in_every_unit_and_as_a_date(raw: object, seconds: float) -> None:
    assert unix_seconds(raw) == pytest.approx(seconds)


@pytest.mark.parametrize("raw", [None, True, "", "soon", 12.5, "93600", [1], "2023-99-99 00:00:00", 10**400])
def test_what_counts_from_a_start_or_is_none_is_no_time(raw: object) -> None:
    assert unix_seconds(raw) is None


def test_a_line_tells_its_time_near_its_beginning_only() -> None:
    assert time_in("[rank0]:[2023-11-14 22:13:20.5+00:00] INFO step: 3") == 1700000000.5
    assert time_in("x" * 200 + " 2023-11-14 22:13:20+00:00") is None
