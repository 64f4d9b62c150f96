"""A collector that asks for the grid's intensity by the hour, and one that is told nothing."""

from __future__ import annotations

import time
from array import array
from collections.abc import Iterator, Mapping
from contextlib import closing
from pathlib import Path
from typing import Any

import httpx
import pytest

from trimtab import wire
from trimtab_monitor.api.schemas import ANSWERS, Schema
from trimtab_monitor.pricing import EnergySettings
from trimtab_monitor.pricing.intensity.testing import TOKEN, Answer, GridServer
from trimtab_monitor.pricing.intensity.values import HOUR_S, hour_of
from trimtab_monitor.report.http_source import HttpSource
from trimtab_monitor.report.store_source import StoreSource
from trimtab_monitor.settings import Settings
from trimtab_monitor.store.sqlite import STORE_FILE
from trimtab_monitor.testing import RunningCollector

NEAR_S = 10.0
FRANCE_G = 44.18
LEDGER: Schema = ANSWERS["get", "/v1/runs/{run}/ledger"][1]
JSON_TYPES: Mapping[str, tuple[type, ...]] = {
    "object": (dict,),
    "array": (list,),
    "string": (str,),
    "integer": (int,),
    "number": (int, float),
    "boolean": (bool,),
    "null": (type(None),),
}


@pytest.fixture
def grid() -> Iterator[GridServer]:
    with GridServer() as server:
        yield server


@pytest.fixture
def used(tmp_path: Path) -> dict[int, float]:
    """A folder with a run that used 1 kW over the last two whole hours; the kWh of each."""
    last = hour_of(time.time()) - HOUR_S
    hours = [last - HOUR_S, last]
    times = [float(hours[0] + i * 60) for i in range(121)]
    device = wire.Device(
        host="host",
        boot_id="boot",
        uuid="GPU-0",
        component="gpu",
        name="test board",
        method="counter",
        time=array("d", times),
        energy_counter=array("q", [60_000_000 * i for i in range(121)]),
        counter_unit_j=1e-3,
    )
    batch = wire.Batch(rank=0, seq=0, devices=[device])
    with RunningCollector(tmp_path / "data") as collector, httpx.Client(base_url=collector.url) as http:
        http.post("/v1/runs", json={"project": "gpt", "run": "run"}).raise_for_status()
        headers = {"Content-Type": wire.MSGPACK}
        http.post("/v1/runs/run/batches", content=wire.encode(batch), headers=headers).raise_for_status()
        assert ledger(http)["energy"]["joules"] == pytest.approx(2 * 3.6e6)
    return dict.fromkeys(hours, 1.0)


def ledger(http: httpx.Client) -> dict[str, Any]:
    answer = http.get("/v1/runs/run/ledger", timeout=NEAR_S)
    assert answer.status_code == 200, answer.text
    told: dict[str, Any] = answer.json()
    return told


def asking(grid: GridServer, **given: object) -> Settings:
    provider = {"url": grid.url, "zone": "FR", "token": TOKEN, "timeout_s": 60}
    energy = {"electricity_maps": provider, "place": "FR", "pue": 1.2, **given}
    return Settings(energy=EnergySettings.model_validate(energy))


def test_d5_a_provider_that_hangs_holds_up_neither_the_ledger_nor_the_shutdown(
    tmp_path: Path, grid: GridServer, used: dict[int, float]
) -> None:
    """Defect of a peer: the end of its window waits for ever for an intensity that does not come."""
    grid.then(Answer(hangs=True))
    with (
        RunningCollector(tmp_path / "data", asking(grid)) as collector,
        httpx.Client(base_url=collector.url) as http,
    ):
        grid.wait_for(1)
        told = ledger(http)
        assert told["emissions_g"]["location"] == pytest.approx(1.2 * 2 * FRANCE_G)
        (part,) = told["factors"]["location"]["priced_by"]
        assert part["source"] == "owid-ember"
        assert told["factors"]["live"][0]["hours"] == []


def test_what_comes_late_applies_backwards_and_stays_when_the_collector_is_gone(
    tmp_path: Path, grid: GridServer, used: dict[int, float]
) -> None:
    first, second = used
    grid.values = {first: 100.0, second: 500.0}
    settings = asking(grid)
    with (
        RunningCollector(tmp_path / "data", settings) as collector,
        httpx.Client(base_url=collector.url) as http,
    ):
        told = told_live(http)
        metrics = http.get("/metrics").text
        with closing(HttpSource(collector.url, EnergySettings(pue=2.0))) as source:
            again = source.view("run").ledger
    assert told["emissions_g"]["location"] == pytest.approx(1.2 * 600)
    assert again["emissions_g"]["location"] == pytest.approx(2.0 * 600)
    live = told["factors"]["live"][0]
    assert [hour["g_per_kwh"] for hour in live["hours"]] == [100, 500]
    assert TOKEN not in str(told)
    assert list(unlike(LEDGER, told, "ledger")) == []
    labels = '{provider="electricity-maps",signal="average",zone="FR"}'
    assert f"trimtab_grid_intensity_grams_per_kwh{labels} 500.0" in metrics
    with closing(StoreSource(tmp_path / "data" / STORE_FILE, settings)) as store:
        left = store.view("run").ledger
    assert left["emissions_g"] == told["emissions_g"]
    assert left["factors"]["location"] == told["factors"]["location"]


def told_live(http: httpx.Client) -> dict[str, Any]:
    """The ledger, once it knows something of the grid."""
    deadline = time.monotonic() + 30
    while (told := ledger(http))["factors"]["live"][0]["state"]["last_success"] is None:
        assert time.monotonic() < deadline, "nothing came"
        time.sleep(0.02)
    return told


def unlike(schema: Schema, value: object, path: str) -> Iterator[str]:
    """Where an answer is not what the document says: missing keys, other types."""
    choices = schema.get("anyOf")
    if choices:
        if all(list(unlike(choice, value, path)) for choice in choices):
            yield path
        return
    kind = schema.get("type")
    if isinstance(kind, str) and not isinstance(value, JSON_TYPES[kind]):
        yield f"{path}: {value!r} is not {kind}"
        return
    if isinstance(value, dict):
        yield from (f"{path}.{name} is missing" for name in schema.get("required", ()) if name not in value)
        for name, inner in schema.get("properties", {}).items():
            if name in value:
                yield from unlike(inner, value[name], f"{path}.{name}")
    if isinstance(value, list):
        for number, each in enumerate(value):
            yield from unlike(schema.get("items", {}), each, f"{path}[{number}]")
