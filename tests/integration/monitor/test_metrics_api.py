"""/metrics, /healthz, /readyz, as a real scraper reads them."""

from __future__ import annotations

import itertools
import math
from array import array
from collections.abc import Callable
from typing import Any

import httpx
import pytest
from prometheus_client.openmetrics.parser import text_string_to_metric_families as parse_openmetrics
from prometheus_client.parser import text_string_to_metric_families as parse_text

from trimtab import wire
from trimtab_monitor import metric_names as names
from trimtab_monitor.settings import ServerSettings, Settings
from trimtab_monitor.testing import Story, batches_of

Send = Callable[[wire.Batch], dict[str, Any]]

OPENMETRICS = "application/openmetrics-text; version=1.0.0"


def scrape(http: httpx.Client) -> dict[str, dict[tuple[tuple[str, str], ...], float]]:
    """Every sample, by name and labels."""
    samples: dict[str, dict[tuple[tuple[str, str], ...], float]] = {}
    for family in parse_text(http.get("/metrics").text):
        for sample in family.samples:
            samples.setdefault(sample.name, {})[tuple(sorted(sample.labels.items()))] = sample.value
    return samples


def labels(**given: str) -> tuple[tuple[str, str], ...]:
    return tuple(sorted(given.items()))


def settle(http: httpx.Client, run: str) -> None:
    """Scraping asks for nothing to be written; looking at the run does."""
    http.get(f"/v1/runs/{run}")


def test_a_run_is_told(http: httpx.Client, run: str, send: Send) -> None:
    for batch in batches_of(Story(steps=105, spikes=(100,)), itertools.repeat(21)):
        send(batch)
    settle(http, run)
    samples = scrape(http)
    mine = labels(run=run)
    assert samples[names.RUN_STEP][mine] == 105
    assert samples[names.RUN_LOSS][mine] == pytest.approx(2.7, abs=0.2)
    assert samples[names.RUN_LEARNING_RATE][mine] == 1e-3
    assert samples[names.RUN_STATUS][labels(run=run, status="running")] == 1
    assert samples[names.RUN_STATUS][labels(run=run, status="failed")] == 0
    assert samples[names.RUN_INCIDENTS_OPEN][labels(run=run, severity="critical")] == 1
    assert samples[names.RUN_POWER_WATTS][labels(run=run, component="gpu")] == 250
    energy = samples[names.RUN_ENERGY_JOULES]
    assert energy[labels(run=run, component="gpu", method="counter")] == 26_000
    assert samples[names.RUN_LAST_SAMPLE][mine] == 1_700_000_105
    assert samples[names.INGEST_BATCHES][labels(result="stored")] == 5
    assert samples[names.INGEST_SAMPLES][()] == 105
    assert samples[names.OUTBOX_DEPTH].keys() == {()}
    assert samples[names.STORE_READY][()] == 1


def test_what_is_not_measured_is_left_out_and_nan_is_told(http: httpx.Client, run: str, send: Send) -> None:
    nan = array("d", [math.nan])
    send(wire.Batch(rank=0, seq=0, step=array("q", [1]), time=array("d", [1.0]), metrics={"loss": nan}))
    settle(http, run)
    samples = scrape(http)
    assert math.isnan(samples[names.RUN_LOSS][labels(run=run)])
    assert names.RUN_GRAD_NORM not in samples
    assert names.RUN_ENERGY_JOULES not in samples


def test_a_thousand_ranks_cost_no_more_than_one(http: httpx.Client, run: str, send: Send) -> None:
    for rank in range(20):
        loss = array("d", [1.0])
        send(
            wire.Batch(rank=rank, seq=0, step=array("q", [1]), time=array("d", [1.0]), metrics={"loss": loss})
        )
    settle(http, run)
    assert len(scrape(http)[names.RUN_LOSS]) == 1


def test_openmetrics_where_it_is_asked_for(http: httpx.Client, run: str, send: Send) -> None:
    send(wire.Batch(rank=0, seq=0))
    answer = http.get("/metrics", headers={"Accept": OPENMETRICS})
    assert answer.headers["content-type"].startswith("application/openmetrics-text")
    families = list(parse_openmetrics(answer.text))  # type: ignore[no-untyped-call]
    assert "trimtab_run_status" in {family.name for family in families}


def test_every_name_is_said_with_its_prefix(http: httpx.Client, run: str) -> None:
    ours = [name for name in scrape(http) if not name.startswith(("process_", "python_"))]
    assert ours
    assert [name for name in ours if not name.startswith("trimtab_")] == []


class TestLongSilentRuns:
    @pytest.fixture
    def collector_settings(self) -> Settings:
        return Settings(server=ServerSettings(metrics_window_s=1e-9))

    def test_they_are_told_no_more(self, http: httpx.Client, run: str) -> None:
        settle(http, run)
        assert names.RUN_STEP not in scrape(http)


def test_it_is_alive_and_ready(http: httpx.Client) -> None:
    assert http.get("/healthz").json() == {"status": "ok"}
    assert http.get("/readyz").json()["status"] == "ready"
