"""A real collector on loopback, and ways to talk to it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from trimtab import wire
from trimtab_monitor.settings import Settings
from trimtab_monitor.testing import RunningCollector


@pytest.fixture
def collector_settings() -> Settings:
    """What the collector of the test runs with; a test class may have its own."""
    return Settings()


@pytest.fixture
def collector(tmp_path: Path, collector_settings: Settings) -> Iterator[RunningCollector]:
    with RunningCollector(tmp_path / "data", collector_settings) as running:
        yield running


@pytest.fixture
def http(collector: RunningCollector) -> Iterator[httpx.Client]:
    with httpx.Client(base_url=collector.url, timeout=30) as client:
        yield client


@pytest.fixture
def run(http: httpx.Client) -> str:
    """A registered run."""
    return register(http)


@pytest.fixture
def send(http: httpx.Client, run: str) -> Callable[[wire.Batch], dict[str, Any]]:
    """Sends a batch of the run, as hooks do; gives the answer."""

    def post(batch: wire.Batch) -> dict[str, Any]:
        headers = {"Content-Type": wire.MSGPACK}
        answer = http.post(f"/v1/runs/{run}/batches", content=wire.encode(batch), headers=headers)
        assert answer.status_code == 200, answer.text
        told: dict[str, Any] = answer.json()
        return told

    return post


def register(http: httpx.Client, run: str = "run", **told: Any) -> str:
    answer = http.post("/v1/runs", json={"project": "gpt", "run": run, **told})
    assert answer.status_code == 200, answer.text
    name: str = answer.json()["run"]
    return name
