"""What a reader of a ledger is told of the grid: what the store has, counted as it is asked for."""

from __future__ import annotations

from dataclasses import replace

from trimtab_monitor.pricing.intensity.feed import FeedState
from trimtab_monitor.pricing.intensity.known import KnownIntensities
from trimtab_monitor.pricing.intensity.sources import LiveSource
from trimtab_monitor.pricing.intensity.testing import ScriptedProvider
from trimtab_monitor.pricing.intensity.values import HOUR_S, HourlyIntensity
from trimtab_monitor.store.memory import MemoryIntensities

H0 = 1_767_225_600
SETTLED = HourlyIntensity("scripted", "FR", "average", H0, 50.0, "lifecycle", False, H0 + 2.0 * HOUR_S)


def sources(*kept: HourlyIntensity, hours: tuple[int, ...] = (H0, H0 + HOUR_S)) -> list[LiveSource]:
    table = MemoryIntensities()
    table.put(kept).result()
    return list(KnownIntensities([ScriptedProvider()], table).sources(hours))


def test_only_the_hours_asked_for_and_what_may_still_change() -> None:
    going_on = replace(SETTLED, hour=H0 + HOUR_S, fetched=H0 + HOUR_S + 60.0)
    elsewhere = replace(SETTLED, hour=H0 + 2 * HOUR_S)
    (source,) = sources(SETTLED, going_on, elsewhere)
    assert source.values == {H0: (50.0, False), H0 + HOUR_S: (50.0, True)}


def test_what_was_counted_otherwise_is_left_out() -> None:
    others = [replace(SETTLED, basis="direct"), replace(SETTLED, signal="marginal", hour=H0 + HOUR_S)]
    (source,) = sources(*others)
    assert source.values == {}


def test_a_ledger_without_hours_asks_for_none() -> None:
    (source,) = sources(SETTLED, hours=())
    assert source.values == {}


def test_how_its_feed_stands_is_told_and_comes_back() -> None:
    failing = FeedState("scripted", "FR", "average", last_error="answered 500", last_error_time=7.0, errors=3)
    known = KnownIntensities([ScriptedProvider()], MemoryIntensities(), lambda: [failing])
    (source,) = known.sources([H0])
    assert source.state == {
        "last_success": None,
        "last_error": "answered 500",
        "last_error_time": 7.0,
        "errors": 3,
    }
    (known_value,) = sources(SETTLED)
    for each in (source, known_value):
        assert LiveSource.told(each.as_json()) == each
