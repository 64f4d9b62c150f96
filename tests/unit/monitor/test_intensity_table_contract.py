"""What every store must do with carbon intensities: the same suite over SQLite and memory."""

from __future__ import annotations

import contextlib
import sqlite3
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from trimtab_monitor.pricing.intensity.values import HOUR_S, HourlyIntensity
from trimtab_monitor.store.memory import MemoryStore
from trimtab_monitor.store.protocols import Store
from trimtab_monitor.store.sqlite import SqliteStore

H0 = 1_700_000_000 // HOUR_S * HOUR_S
KNOWN = HourlyIntensity("uk", "GB", "average", H0, 120.5, "operational", False, H0 + 2.0 * HOUR_S)


@pytest.fixture(params=["sqlite", "memory"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Store]:
    opened: Store = SqliteStore(tmp_path / "trimtab.db") if request.param == "sqlite" else MemoryStore()
    yield opened
    opened.close()


def kept(store: Store, *values: HourlyIntensity) -> list[HourlyIntensity]:
    """All of GB, once these are kept."""
    for value in values:
        store.intensities.put([value]).result()
    return store.intensities.between("uk", "GB", 0, 2**40)


def test_it_gives_back_what_was_put_in_order_of_time(store: Store) -> None:
    later = replace(KNOWN, hour=H0 + HOUR_S, g_per_kwh=0.0, is_estimated=True)
    assert kept(store, later, KNOWN) == [KNOWN, later]


def test_only_the_hours_asked_for_of_that_zone_and_provider(store: Store) -> None:
    hours = [replace(KNOWN, hour=H0 + i * HOUR_S, fetched=H0 + 9.0 * HOUR_S) for i in range(4)]
    others = [replace(KNOWN, zone="FR"), replace(KNOWN, provider="watttime")]
    store.intensities.put([*hours, *others]).result()
    assert store.intensities.between("uk", "GB", H0 + HOUR_S, H0 + 3 * HOUR_S) == hours[1:3]


def test_average_and_marginal_stand_side_by_side(store: Store) -> None:
    marginal = replace(KNOWN, signal="marginal", g_per_kwh=600.0)
    assert kept(store, marginal, KNOWN) == [KNOWN, marginal]


def test_a_forecast_is_revised_by_the_value_and_that_by_a_later_one(store: Store) -> None:
    forecast = replace(KNOWN, g_per_kwh=90.0, is_estimated=True)
    revised = replace(KNOWN, g_per_kwh=130.0, fetched=KNOWN.fetched + 60)
    assert kept(store, forecast, KNOWN) == [KNOWN]
    assert kept(store, revised) == [revised]


def test_an_estimate_never_takes_the_place_of_what_is_settled(store: Store) -> None:
    assert kept(store, KNOWN, replace(KNOWN, g_per_kwh=1.0, is_estimated=True)) == [KNOWN]


def test_what_was_told_within_the_hour_is_not_settled(store: Store) -> None:
    early = replace(KNOWN, fetched=H0 + 60.0)
    estimate = replace(KNOWN, g_per_kwh=1.0, is_estimated=True)
    assert not early.is_settled
    assert kept(store, early, estimate) == [estimate]


def test_a_file_of_the_version_before_gets_the_table_and_keeps_what_it_has(tmp_path: Path) -> None:
    path = tmp_path / "trimtab.db"
    with contextlib.closing(SqliteStore(path)) as store:
        store.intensities.put([KNOWN]).result()
    with contextlib.closing(sqlite3.connect(path)) as connection:
        connection.execute("DROP TABLE intensities")
        connection.execute("UPDATE folded SET position = 7")
        connection.execute("PRAGMA user_version = 1")
        connection.commit()
    with contextlib.closing(SqliteStore(path)) as store:
        assert kept(store, KNOWN) == [KNOWN]
        assert store.state.position() == 7
