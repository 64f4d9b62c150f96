"""The stream over HTTP: what happens arrives while it happens, and nobody holds up a shutdown."""

from __future__ import annotations

import itertools
import json
from collections.abc import Callable, Iterator
from typing import Any

import httpx

from trimtab import wire
from trimtab_monitor.testing import RunningCollector, Story, batches_of

Send = Callable[[wire.Batch], dict[str, Any]]


def events(lines: Iterator[str]) -> Iterator[tuple[str, Any]]:
    """Server-sent events, by kind."""
    kind = ""
    for line in lines:
        if line.startswith("event: "):
            kind = line.removeprefix("event: ")
        elif line.startswith("data: "):
            yield kind, json.loads(line.removeprefix("data: "))


def until(told: Iterator[tuple[str, Any]], wanted: set[str]) -> dict[str, Any]:
    """The first event of each kind."""
    first: dict[str, Any] = {}
    while not wanted <= first.keys():
        kind, body = next(told)
        first.setdefault(kind, body)
    return first


def test_what_happens_is_told(http: httpx.Client, run: str, send: Send) -> None:
    with http.stream("GET", "/v1/stream") as stream:
        assert stream.headers["content-type"].startswith("text/event-stream")
        told = events(stream.iter_lines())
        for batch in batches_of(Story(steps=105, spikes=(100,), rollback="auto"), itertools.repeat(21)):
            send(batch)
        first = until(told, {"sample", "incident", "alert", "command", "run"})
    assert first["sample"]["step"] == list(range(1, 22))
    assert first["sample"]["run"] == run
    assert first["sample"]["metrics"].keys() == {"loss", "grad_norm", "lr"}
    assert (first["incident"]["kind"], first["incident"]["run"]) == ("loss_spike", run)
    assert (first["command"]["kind"], first["command"]["run"]) == ("rollback", run)
    assert first["alert"]["incident"] == first["incident"]["id"]
    assert first["run"]["status"] == "running"


def test_one_run_can_be_listened_to(http: httpx.Client, run: str, send: Send) -> None:
    http.post("/v1/runs", json={"project": "gpt", "run": "other"})
    with http.stream("GET", "/v1/stream?run=other") as stream:
        told = events(stream.iter_lines())
        send(wire.Batch(rank=0, seq=0))
        http.post("/v1/runs", json={"project": "gpt", "run": "other", "name": "again"})
        kind, body = next(told)
    assert (kind, body["run"]) == ("run", "other")


def test_a_listener_holds_up_no_shutdown(collector: RunningCollector, http: httpx.Client) -> None:
    with http.stream("GET", "/v1/stream") as stream:
        lines = stream.iter_lines()
        assert next(lines) == "retry: 2000"
        collector.stop()
        assert collector.wait_until_stopped(30)
        assert [line for line in lines if line] == []
