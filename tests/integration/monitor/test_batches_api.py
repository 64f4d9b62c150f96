"""Batches over HTTP: durable before they are answered, once however often they are sent, bounded."""

from __future__ import annotations

import socket
import threading
from array import array
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from trimtab import wire
from trimtab_monitor.settings import ServerSettings, Settings
from trimtab_monitor.store.sqlite import SqliteStore
from trimtab_monitor.testing import RunningCollector

Send = Callable[[wire.Batch], dict[str, Any]]


def rows(*steps: int, seq: int = 0, rank: int = 0) -> wire.Batch:
    times = array("d", [1000.0 + step for step in steps])
    loss = array("d", [2.0 for _ in steps])
    return wire.Batch(rank=rank, seq=seq, step=array("q", steps), time=times, metrics={"loss": loss})


def post(
    http: httpx.Client, body: bytes, content_type: str = wire.MSGPACK, run: str = "run"
) -> httpx.Response:
    headers = {"Content-Type": content_type}
    return http.post(f"/v1/runs/{run}/batches", content=body, headers=headers)


class TestTaken:
    def test_the_answer_names_the_batch(self, send: Send) -> None:
        assert send(rows(1, 2, seq=7)) == {"ack": 7, "commands": []}

    def test_once_however_often_it_is_sent(self, http: httpx.Client, run: str, send: Send) -> None:
        for _ in range(3):
            assert send(rows(1, 2))["ack"] == 0
        assert http.get(f"/v1/runs/{run}/series?metric=loss&attempt=all").json()["step"] == [1, 2]

    def test_people_may_send_json(self, http: httpx.Client, run: str) -> None:
        body = {
            "rank": 0,
            "seq": 0,
            "step": [1, 2, 3],
            "time": [10, 11.5, 12],
            "metrics": {"loss": [2.5, "NaN", None], "accuracy": [0, 1, "Infinity"]},
        }
        answer = http.post(f"/v1/runs/{run}/batches", json=body)
        assert answer.json() == {"ack": 0, "commands": []}
        loss = http.get(f"/v1/runs/{run}/series?metric=loss").json()
        assert (loss["step"], loss["value"]) == ([1, 2], [2.5, "NaN"])
        accuracy = http.get(f"/v1/runs/{run}/series?metric=accuracy").json()
        assert accuracy["value"] == [0.0, 1.0, "Infinity"]

    def test_both_encodings_are_the_same_batch(self, http: httpx.Client, run: str, send: Send) -> None:
        send(rows(1, 2))
        again = post(http, wire.encode(rows(1, 2), wire.JSON), f"{wire.JSON}; charset=utf-8")
        assert again.json()["ack"] == 0
        assert 'trimtab_ingest_batches_total{result="duplicate"} 1.0' in http.get("/metrics").text

    def test_a_large_one_is_taken_whole(self, http: httpx.Client, run: str, send: Send) -> None:
        send(rows(*range(1, 50_001)))
        series = http.get(f"/v1/runs/{run}/series?metric=loss&points=60000").json()
        assert series["step"] == list(range(1, 50_001))

    def test_many_clients_at_once(self, http: httpx.Client, collector: RunningCollector, run: str) -> None:
        failed: list[object] = []

        def rank(number: int) -> None:
            with httpx.Client(base_url=collector.url, timeout=30) as client:
                for seq in range(20):
                    answer = post(client, wire.encode(rows(seq + 1, seq=seq, rank=number)))
                    if answer.json() != {"ack": seq, "commands": []}:
                        failed.append(answer.text)

        threads = [threading.Thread(target=rank, args=(number,)) for number in range(8)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert failed == []
        for number in range(8):
            series = http.get(f"/v1/runs/{run}/series?metric=loss&rank={number}").json()
            assert series["step"] == list(range(1, 21))


def test_what_was_acknowledged_is_on_disk(tmp_path: Path) -> None:
    with RunningCollector(tmp_path) as running, httpx.Client(base_url=running.url) as http:
        http.post("/v1/runs", json={"project": "gpt", "run": "run"})
        for seq in range(5):
            post(http, wire.encode(rows(seq + 1, seq=seq)))
            store = SqliteStore(tmp_path / "trimtab.db")
            assert len(store.log.read_batches("run", 0, 0, 100)) == seq + 1
            store.close()


class TestRefused:
    def test_a_run_that_nobody_registered(self, http: httpx.Client) -> None:
        answer = post(http, wire.encode(rows(1)), run="nobody")
        assert (answer.status_code, answer.json()["field"]) == (404, "run")

    @pytest.mark.parametrize(
        ("body", "field"),
        [
            (b"", "body"),
            (b"\xc1", "body"),
            (b"[]", "body"),
            (b"\x90", "body"),
            (wire.encode(rows(1))[:-3], "body"),
        ],
    )
    def test_what_is_no_batch(self, http: httpx.Client, run: str, body: bytes, field: str) -> None:
        answer = post(http, body)
        assert answer.status_code == 400
        assert answer.headers["content-type"] == "application/problem+json"
        assert answer.json()["field"] == field

    def test_a_wrong_field_is_named_with_value_and_remedy(self, http: httpx.Client, run: str) -> None:
        body = {"rank": 0, "seq": 0, "step": [1, 2], "time": [1.0, 2.0], "metrics": {"loss": [1.0]}}
        problem = http.post(f"/v1/runs/{run}/batches", json=body).json()
        assert (problem["field"], problem["value"]) == ("metrics.loss", "1 rows")
        assert problem["remedy"] == "give 2 rows, one for each row of the batch"

    def test_an_event_that_cannot_be_read(self, http: httpx.Client, run: str) -> None:
        event = {"kind": "samples_dropped", "time": 1.0, "count": "many"}
        body = {"rank": 0, "seq": 0, "step": [], "time": [], "events": [event]}
        answer = http.post(f"/v1/runs/{run}/batches", json=body)
        assert (answer.status_code, answer.json()["field"]) == (400, "events[0].count")
        assert "trimtab_run_unreadable_events_total" in http.get("/metrics").text

    def test_an_event_that_cannot_be_kept(self, http: httpx.Client, run: str) -> None:
        event = {"kind": "note", "time": 1.0, "number": 2**100}
        body = {"rank": 0, "seq": 0, "step": [], "time": [], "events": [event]}
        answer = http.post(f"/v1/runs/{run}/batches", json=body)
        assert (answer.status_code, answer.json()["field"]) == (400, "events")

    @pytest.mark.parametrize("content_type", ["text/plain", "", "application/x-www-form-urlencoded"])
    def test_an_unknown_encoding(self, http: httpx.Client, run: str, content_type: str) -> None:
        answer = post(http, wire.encode(rows(1)), content_type)
        assert (answer.status_code, answer.json()["field"]) == (415, "Content-Type")

    def test_refusals_are_counted(self, http: httpx.Client, run: str) -> None:
        post(http, b"")
        assert 'trimtab_ingest_batches_total{result="refused"} 1.0' in http.get("/metrics").text


class TestLimits:
    @pytest.fixture
    def collector_settings(self) -> Settings:
        return Settings(server=ServerSettings(max_body_bytes=10_000))

    def test_a_body_that_says_it_is_too_large(self, http: httpx.Client, run: str) -> None:
        answer = post(http, bytes(10_001))
        assert answer.status_code == 413
        assert answer.headers["content-type"] == "application/problem+json"
        assert answer.json()["field"] == "Content-Length"

    def test_a_body_that_does_not_say_so(self, http: httpx.Client, run: str) -> None:
        def endless() -> Iterator[bytes]:
            for _ in range(100):
                yield bytes(1000)

        answer = http.post(
            f"/v1/runs/{run}/batches", content=endless(), headers={"Content-Type": wire.MSGPACK}
        )
        assert answer.status_code == 413

    def test_every_endpoint_has_it(self, http: httpx.Client) -> None:
        def endless() -> Iterator[bytes]:
            yield b'{"project": "'
            for _ in range(100):
                yield b"x" * 1000

        answer = http.post("/v1/runs", content=endless(), headers={"Content-Type": "application/json"})
        assert answer.status_code == 413

    def test_one_that_just_fits_is_taken(self, http: httpx.Client, run: str) -> None:
        batch = rows(*range(1, 401))
        body = wire.encode(batch)
        assert 9000 < len(body) <= 10_000
        assert post(http, body).status_code == 200

    def test_whoever_hangs_up_harms_nobody(
        self, http: httpx.Client, collector: RunningCollector, run: str, send: Send
    ) -> None:
        host, port = collector.url.removeprefix("http://").split(":")
        with socket.create_connection((host, int(port))) as connection:
            connection.sendall(
                f"POST /v1/runs/{run}/batches HTTP/1.1\r\nHost: x\r\nContent-Type: {wire.MSGPACK}\r\n"
                "Content-Length: 5000\r\n\r\nabc".encode()
            )
        assert send(rows(1))["ack"] == 0


class TestOneRunsFlood:
    @pytest.fixture
    def collector_settings(self) -> Settings:
        return Settings(server=ServerSettings(max_backlog_batches=1, max_inflight_bytes=1))

    def test_it_is_taken_one_after_the_other(self, http: httpx.Client, run: str, send: Send) -> None:
        """The least limits that there can be still let a run through that waits for its answers."""
        for seq in range(10):
            send(rows(seq + 1, seq=seq))
