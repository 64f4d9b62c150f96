"""The clock at work: ticks, runs that fall silent, an embedded collector that has nothing left to do."""

from __future__ import annotations

from array import array
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import pytest

from trimtab import wire
from trimtab_monitor.liveness import LivenessSettings
from trimtab_monitor.settings import ServerSettings, Settings
from trimtab_monitor.testing import RunningCollector

Send = Callable[[wire.Batch], dict[str, Any]]
Wait = Callable[[Callable[[], object]], None]


def status(http: httpx.Client, run: str) -> str:
    told: str = http.get(f"/v1/runs/{run}").json()["status"]
    return told


def step(number: int) -> wire.Batch:
    return wire.Batch(rank=0, seq=number, step=array("q", [number]), time=array("d", [float(number)]))


class TestSilence:
    @pytest.fixture
    def collector_settings(self) -> Settings:
        return Settings(liveness=LivenessSettings(tick_s=0.02, heartbeat_timeout_s=0.3))

    def test_a_silent_run_fails_and_runs_again(
        self, http: httpx.Client, run: str, send: Send, wait_until: Wait
    ) -> None:
        send(step(1))
        wait_until(lambda: status(http, run) == "failed")
        (incident,) = http.get(f"/v1/runs/{run}/incidents").json()
        assert (incident["kind"], incident["severity"], incident["state"]) == ("failed", "critical", "open")
        (alert,) = http.get("/v1/alerts").json()
        assert alert["state"] == "firing"

        send(step(2))
        assert status(http, run) == "running"
        assert http.get(f"/v1/runs/{run}/incidents").json()[0]["state"] == "resolved"

    def test_the_clock_stands_still_while_no_run_is_live(
        self, http: httpx.Client, run: str, send: Send, wait_until: Wait
    ) -> None:
        send(wire.Batch(rank=0, seq=0, events=[{"kind": "run_end", "status": "finished", "time": 1.0}]))
        assert status(http, run) == "finished"
        ready = http.get("/readyz").json
        wait_until(lambda: ready()["log"] == ready()["folded"])
        log = ready()["log"]
        http.post("/v1/runs", json={"project": "gpt", "run": "witness"})
        assert ready()["log"] <= log + 3


class TestHang:
    @pytest.fixture
    def collector_settings(self) -> Settings:
        return Settings(liveness=LivenessSettings(tick_s=0.02, hung_after_s=0.2, hung_after_steps=1e-9))

    def test_a_run_that_makes_no_step_is_hung(
        self, http: httpx.Client, run: str, send: Send, wait_until: Wait
    ) -> None:
        send(step(1))
        wait_until(lambda: status(http, run) == "hung")
        assert http.get(f"/v1/runs/{run}/incidents").json()[0]["kind"] == "hung"
        send(step(2))
        assert status(http, run) == "running"


class TestNothingLeftToDo:
    SETTINGS = Settings(
        server=ServerSettings(idle_exit_s=0.2),
        liveness=LivenessSettings(tick_s=0.02, heartbeat_timeout_s=600),
    )

    def test_an_embedded_collector_ends_by_itself_once_no_run_is_live(self, tmp_path: Path) -> None:
        running = RunningCollector(tmp_path, self.SETTINGS, embedded=True)
        with running, httpx.Client(base_url=running.url) as http:
            http.post("/v1/runs", json={"project": "gpt", "run": "run"})
            end = {"kind": "run_end", "status": "finished", "time": 1.0}
            body = wire.encode(wire.Batch(rank=0, seq=0, events=[end]))
            http.post("/v1/runs/run/batches", content=body, headers={"Content-Type": wire.MSGPACK})
            assert running.wait_until_stopped(30)
