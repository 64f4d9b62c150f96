"""Which hours a provider is asked for, when, and what a failure changes."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Future
from datetime import UTC, datetime

import pytest

from trimtab_monitor.pricing.intensity.feed import (
    LONGEST_ASKED_PAUSE_S,
    LONGEST_PAUSE_S,
    Feed,
    pause_after,
)
from trimtab_monitor.pricing.intensity.provider import ProviderFailed
from trimtab_monitor.pricing.intensity.testing import ScriptedProvider
from trimtab_monitor.pricing.intensity.values import HOUR_S, HourlyIntensity, ValueRefused
from trimtab_monitor.store.memory import MemoryIntensities
from trimtab_monitor.store.protocols import StoreUnavailable

H0 = 1_767_225_600  # 2026-01-01 00:00 UTC
EVERY_S = 900.0


def hour(number: int) -> int:
    return H0 + number * HOUR_S


def at(number: float) -> float:
    return H0 + number * HOUR_S


class Bench:
    """A feed over a provider that does as it is told."""

    def __init__(self, days_back: float = 3.0) -> None:
        self.provider = ScriptedProvider()
        self.table = MemoryIntensities()
        self.feed = Feed(self.provider, self.table, EVERY_S, days_back)

    def turn(self, wanted: list[int], now: float, uptime: float = 0.0) -> None:
        self.feed.turn([hour(each) for each in wanted], now, uptime)

    def asked(self) -> list[tuple[float, float]]:
        return [((a - H0) / HOUR_S, (b - H0) / HOUR_S) for a, b in self.provider.asked]

    def kept(self) -> list[HourlyIntensity]:
        return self.table.between("scripted", "FR", 0, 2**40)


def test_it_asks_for_the_hours_in_which_runs_used_energy() -> None:
    bench = Bench()
    bench.provider.values = {hour(1): 50.0, hour(4): 60.0}
    bench.turn([1, 4], now=at(4.5))
    assert bench.asked() == [(1, 5)]
    assert [each.g_per_kwh for each in bench.kept()] == [50, 60]


def test_it_asks_nobody_while_no_run_uses_energy() -> None:
    bench = Bench()
    bench.turn([], now=at(4.5))
    assert bench.asked() == []


def test_an_hour_that_is_over_and_known_is_never_asked_for_again() -> None:
    bench = Bench()
    bench.provider.values = {hour(1): 50.0, hour(2): 60.0}
    bench.turn([1, 2], now=at(3.5))
    bench.turn([1, 2], now=at(3.9))
    assert bench.asked() == [(1, 3)]


def test_an_hour_that_goes_on_is_asked_for_until_it_is_over() -> None:
    bench = Bench()
    bench.provider.values = {hour(1): 50.0}
    for now in (1.2, 1.9, 2.1, 2.5):
        bench.turn([1], now=at(now))
    assert bench.asked() == [(1, 2)] * 3


def test_an_estimate_is_asked_for_until_it_is_revised() -> None:
    bench = Bench()
    bench.provider.values, bench.provider.estimated = {hour(1): 50.0}, {hour(1)}
    bench.turn([1], now=at(3))
    bench.provider.values, bench.provider.estimated = {hour(1): 70.0}, set()
    bench.turn([1], now=at(4))
    bench.turn([1], now=at(5))
    assert bench.asked() == [(1, 2)] * 2
    assert [(each.g_per_kwh, each.is_estimated) for each in bench.kept()] == [(70, False)]


def test_values_that_were_counted_otherwise_are_asked_for_anew() -> None:
    bench = Bench()
    bench.provider.values = {hour(1): 50.0}
    bench.turn([1], now=at(3))
    bench.provider.basis = "direct"
    bench.turn([1], now=at(3))
    assert bench.asked() == [(1, 2)] * 2


def test_it_goes_no_further_back_than_is_wanted_and_the_provider_can() -> None:
    by_settings, by_provider = Bench(days_back=0.5), Bench(days_back=30)
    for bench in (by_settings, by_provider):
        bench.turn(list(range(-100, 1)), now=at(0.5))
    assert by_settings.asked() == [(-11, 1)]
    assert by_provider.asked() == [(-23, 1)]


@pytest.mark.parametrize("jump", [-1.0, 1.0])
def test_a_clock_that_jumps_by_an_hour_settles_nothing_wrongly(jump: float) -> None:
    bench = Bench()
    bench.provider.values, bench.provider.estimated = {hour(1): 50.0}, {hour(1)}
    bench.turn([1], now=at(1.5))
    bench.turn([1], now=at(1.5 + jump))
    bench.provider.values, bench.provider.estimated = {hour(1): 80.0}, set()
    bench.turn([1], now=at(2.5))
    assert [each.g_per_kwh for each in bench.kept()] == [80]


def test_hours_that_are_still_to_come_are_not_asked_for() -> None:
    bench = Bench()
    bench.turn([1, 9], now=at(1.5))
    assert bench.asked() == [(1, 2)]


def test_midnight_and_the_end_of_summer_time_are_hours_as_any_other() -> None:
    bench = Bench()
    clocks_go_back = int(datetime(2026, 10, 25, 1, tzinfo=UTC).timestamp())
    hours = [clocks_go_back + i * HOUR_S for i in range(-4, 3)]
    bench.provider.values = {each: 10.0 + i for i, each in enumerate(hours)}
    bench.feed.turn(hours, hours[-1] + HOUR_S + 60.0, 0.0)
    assert [each.hour for each in bench.kept()] == hours


# --- when it fails ---


def test_after_a_success_it_waits_as_long_as_is_set() -> None:
    bench = Bench()
    bench.provider.values = {hour(1): 50.0}
    bench.turn([1], now=at(1.5), uptime=100.0)
    assert not bench.feed.is_due(100.0 + EVERY_S - 1)
    assert bench.feed.is_due(100.0 + EVERY_S)


def test_a_failure_is_told_counted_and_over_when_it_answers_again() -> None:
    bench = Bench()
    bench.provider.failure = ProviderFailed("it burns", status=500)
    bench.turn([1], now=at(1.5))
    bench.turn([1], now=at(1.6))
    state = bench.feed.state
    assert (state.last_error, state.last_error_time, state.errors) == ("it burns", at(1.6), 2)
    assert state.last_success is None
    bench.provider.failure, bench.provider.values = None, {hour(1): 50.0}
    bench.turn([1], now=at(1.7))
    state = bench.feed.state
    assert (state.last_success, state.errors, state.failures_in_a_row) == (at(1.7), 2, 0)
    assert state.newest is not None
    assert state.newest.g_per_kwh == 50


def test_what_cannot_be_is_a_failure_and_nothing_of_it_is_kept() -> None:
    bench = Bench()
    bench.provider.failure = ValueRefused("-1 g/kWh cannot be")
    bench.turn([1], now=at(1.5))
    assert bench.kept() == []
    assert bench.feed.state.last_error == "scripted FR: its answer is not used: -1 g/kWh cannot be"


def test_while_nothing_can_be_kept_the_provider_is_not_asked_over_and_over() -> None:
    class Full(MemoryIntensities):
        def put(self, values: Sequence[HourlyIntensity]) -> Future[None]:
            failed: Future[None] = Future()
            failed.set_exception(StoreUnavailable("disk full"))
            return failed

    feed = Feed(ScriptedProvider({hour(1): 50.0}), Full(), EVERY_S, 3.0)
    with pytest.raises(StoreUnavailable):
        feed.turn([hour(1)], at(1.5), 0.0)
    assert not feed.is_due(59.0)
    assert feed.is_due(60.0)


def test_pauses_double_up_to_an_hour() -> None:
    pauses = [pause_after(ProviderFailed("x"), row) for row in range(1, 9)]
    assert pauses == [60, 120, 240, 480, 960, 1920, LONGEST_PAUSE_S, LONGEST_PAUSE_S]
    assert pause_after(ProviderFailed("x"), 10_000) == LONGEST_PAUSE_S


def test_a_pause_that_is_asked_for_is_kept_within_reason() -> None:
    assert pause_after(ProviderFailed("x", pause_s=5_000), 1) == 5_000
    assert pause_after(ProviderFailed("x", pause_s=5), 3) == 240
    assert pause_after(ProviderFailed("x", pause_s=10**9), 1) == LONGEST_ASKED_PAUSE_S


def test_a_token_that_is_refused_is_not_tried_again_soon() -> None:
    assert pause_after(ProviderFailed("x", is_lasting=True), 1) == LONGEST_PAUSE_S
