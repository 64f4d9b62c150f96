"""The thread that asks: nobody waits for it, and it ends when it is told to."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Sequence
from concurrent.futures import Future

import pytest

from trimtab_monitor.pricing import EnergySettings
from trimtab_monitor.pricing.intensity.feeds import Feeds, Wanted
from trimtab_monitor.pricing.intensity.known import KnownIntensities
from trimtab_monitor.pricing.intensity.providers import providers
from trimtab_monitor.pricing.intensity.testing import TOKEN, Answer, GridServer
from trimtab_monitor.pricing.intensity.values import HOUR_S, HourlyIntensity
from trimtab_monitor.store.memory import MemoryIntensities

H0 = 1_767_225_600
NOW = H0 + HOUR_S + 600.0
LOOK_S = 0.01


@pytest.fixture
def grid() -> Iterator[GridServer]:
    with GridServer({H0: 100.0}) as server:
        yield server


class Table(MemoryIntensities):
    """Says when something is put into it."""

    def __init__(self) -> None:
        super().__init__()
        self.filled = threading.Event()

    def put(self, values: Sequence[HourlyIntensity]) -> Future[None]:
        put = super().put(values)
        self.filled.set()
        return put


class Running:
    """Feeds of the providers that are set, for one hour unless told otherwise."""

    def __init__(self, settings: dict[str, object], wanted: Wanted = lambda now: [H0]) -> None:
        asked = providers(EnergySettings.model_validate(settings))
        self.table = Table()
        self.feeds = Feeds(asked, self.table, wanted, clock=lambda: NOW, look_s=LOOK_S)
        self.known = KnownIntensities([each.provider for each in asked], self.table, self.feeds.states)

    def __enter__(self) -> Running:
        self.feeds.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.feeds.stop()


def electricity_maps(grid: GridServer) -> dict[str, object]:
    return {"electricity_maps": {"url": grid.url, "zone": "FR", "token": TOKEN, "timeout_s": 20}}


def uk(grid: GridServer) -> dict[str, object]:
    return {"uk": {"url": grid.url, "enabled": True}}


def test_what_a_provider_tells_is_known_to_readers(grid: GridServer) -> None:
    with Running(uk(grid)) as running:
        assert running.table.filled.wait(30)
        running.feeds.stop()
        (source,) = running.known.sources([H0])
    assert source.values == {H0: (100.0, False)}
    assert (source.provider, source.zone, source.signal) == ("uk", "GB", "average")
    assert source.state is not None
    assert source.state["last_success"] == NOW


def test_a_provider_that_hangs_keeps_neither_readers_nor_the_shutdown_waiting(grid: GridServer) -> None:
    """Defect of a peer: its window never ends when the provider fails."""
    grid.then(Answer(hangs=True))
    with Running(electricity_maps(grid)) as running:
        grid.wait_for(1)
        (source,) = running.known.sources([H0])
        assert source.values == {}
    (state,) = running.feeds.states()
    assert state.last_error is not None
    assert "stopped while it was asked" in state.last_error


def test_a_server_that_drips_ends_with_the_shutdown(grid: GridServer) -> None:
    grid.then(Answer(body=b"[", drips=True))
    with Running(electricity_maps(grid)) as running:
        grid.wait_for(1)
    assert running.known.sources([H0])[0].values == {}


def test_nobody_set_is_nobody_asked(grid: GridServer) -> None:
    with Running({}) as running:
        assert running.known.sources([H0]) == []
    assert grid.asked == []


def test_one_request_at_a_time_over_all_providers(grid: GridServer) -> None:
    grid.then(Answer(hangs=True))
    both = {**uk(grid), "watttime": {"url": grid.url, "region": "X", "user": "a", "password": "b"}}
    with Running(both):
        grid.wait_for(1)
    assert len(grid.asked) == 1


def test_a_fault_of_ours_is_told_and_ends_nothing_else(grid: GridServer) -> None:
    def broken(now: float) -> list[int]:
        grid.answer("/seen", {})
        raise KeyError("oops")

    with Running(uk(grid), broken) as running:
        grid.wait_for(1)
    (state,) = running.feeds.states()
    assert state.last_error is not None
    assert "KeyError: 'oops'" in state.last_error
    assert state.errors == 1
