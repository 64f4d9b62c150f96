"""Runs over HTTP: register, look, chart, account."""

from __future__ import annotations

import itertools
import json
import re
from array import array
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from trimtab import wire
from trimtab_monitor.testing import Story, batches_of
from trimtab_monitor.wording import number

Send = Callable[[wire.Batch], dict[str, Any]]


class TestRegister:
    def test_an_id_is_made_where_none_is_given(self, http: httpx.Client) -> None:
        answer = http.post("/v1/runs", json={"project": "my project/gpt"})
        assert answer.status_code == 200
        run = answer.json()["run"]
        assert re.fullmatch(r"my-project-gpt-\d{8}-\d{6}-[0-9a-f]{4}", run)
        assert answer.json()["url"] == f"{http.base_url}/runs/{run}".replace("//runs", "/runs")

    def test_what_it_says_is_told_at_once(self, http: httpx.Client) -> None:
        told = {
            "project": "gpt",
            "run": "r-1",
            "name": "the first",
            "world_size": 8,
            "total_steps": 1000,
            "tokens_per_step": 4096,
            "parameters": 124_000_000,
            "phase": "pretraining",
            "config": {"lr": 0.1, "layers": [1, 2]},
            "origin": {"slurm": {"job_id": "4711"}, "git": {"commit": "abc123"}},
        }
        http.post("/v1/runs", json=told)
        run = http.get("/v1/runs/r-1").json()
        assert {key: run[key] for key in told} == told
        assert (run["status"], run["last_step"], run["incidents_open"]) == ("running", 0, 0)
        assert run["ledger"]["joules"] is None

    def test_to_register_again_is_harmless(self, http: httpx.Client, run: str, send: Send) -> None:
        send(wire.Batch(rank=0, seq=0, step=array("q", [1]), time=array("d", [1.0])))
        again = http.post("/v1/runs", json={"project": "gpt", "run": run, "total_steps": 50})
        assert again.json()["run"] == run
        told = http.get(f"/v1/runs/{run}").json()
        assert (told["last_step"], told["total_steps"]) == (1, 50)
        assert len(http.get("/v1/runs").json()) == 1

    def test_newer_hooks_may_say_more(self, http: httpx.Client) -> None:
        assert http.post("/v1/runs", json={"project": "gpt", "mood": "fine"}).status_code == 200

    @pytest.mark.parametrize(
        ("body", "field"),
        [
            ({}, "project"),
            ({"project": ""}, "project"),
            ({"project": 3}, "project"),
            ({"project": "gpt", "run": "a b"}, "run"),
            ({"project": "gpt", "run": "../../etc"}, "run"),
            ({"project": "gpt", "run": "."}, "run"),
            ({"project": "gpt", "run": ".."}, "run"),
            ({"project": "gpt", "run": "x" * 129}, "run"),
            ({"project": "gpt", "world_size": 0}, "world_size"),
            ({"project": "gpt", "world_size": 2**63 - 1}, "world_size"),
            ({"project": "gpt", "phase": "dreaming"}, "phase"),
            ({"project": "gpt", "config": []}, "config"),
            ({"project": "gpt", "config": {"seed": 2**100}}, "config"),
            ({"project": "gpt", "config": {"text": "\ud800"}}, "config"),
            ({"project": "\ud800"}, "project"),
            ({"project": "gpt", "parameters": 2**100}, "parameters"),
        ],
    )
    def test_a_wrong_field_is_named(self, http: httpx.Client, body: dict[str, Any], field: str) -> None:
        headers = {"Content-Type": "application/json"}
        answer = http.post("/v1/runs", content=json.dumps(body), headers=headers)
        assert answer.status_code == 422
        assert answer.headers["content-type"] == "application/problem+json"
        problem = answer.json()
        assert (problem["field"], problem["status"]) == (field, 422)
        assert problem["remedy"]


class TestList:
    def test_newest_first(self, http: httpx.Client) -> None:
        for run in ("a", "c", "b"):
            http.post("/v1/runs", json={"project": "gpt", "run": run})
        assert [run["run"] for run in http.get("/v1/runs").json()] == ["b", "c", "a"]
        assert [run["run"] for run in http.get("/v1/runs?limit=1").json()] == ["b"]

    def test_what_was_acknowledged_is_seen(self, http: httpx.Client, run: str, send: Send) -> None:
        for step in range(1, 30):
            send(wire.Batch(rank=0, seq=step, step=array("q", [step]), time=array("d", [float(step)])))
            assert http.get(f"/v1/runs/{run}").json()["last_step"] == step


@pytest.mark.parametrize(
    "path", ["", "/series?metric=loss", "/incidents", "/ledger", "/commands"], ids=lambda path: path or "run"
)
def test_an_unknown_run_is_a_problem(http: httpx.Client, path: str) -> None:
    answer = http.get(f"/v1/runs/nobody{path}")
    assert answer.status_code == 404
    assert answer.headers["content-type"] == "application/problem+json"
    problem = answer.json()
    assert problem.keys() >= {"type", "title", "status", "detail", "field", "value", "remedy"}
    assert (problem["field"], problem["value"]) == ("run", "nobody")


class TestSeries:
    def test_words_for_what_is_not_finite(self, http: httpx.Client, run: str, send: Send) -> None:
        column = array("d", [0.5, float("nan"), float("inf"), float("-inf"), wire.NOT_MEASURED])
        send(
            wire.Batch(
                rank=0,
                seq=0,
                step=array("q", range(1, 6)),
                time=array("d", [10.0, 11.0, 12.0, 13.0, 14.0]),
                metrics={"loss": column},
            )
        )
        series = http.get(f"/v1/runs/{run}/series?metric=loss").json()
        assert series["metric"] == "loss"
        assert series["step"] == [1, 2, 3, 4]
        assert series["time"] == [10.0, 11.0, 12.0, 13.0]
        assert series["value"] == [0.5, "NaN", "Infinity", "-Infinity"]

    def test_a_spike_is_seen_in_few_points(self, http: httpx.Client, run: str, send: Send) -> None:
        for batch in batches_of(Story(steps=2000, spikes=(777,), nans=(1234,)), itertools.repeat(100)):
            send(batch)
        series = http.get(f"/v1/runs/{run}/series?metric=loss&points=50").json()
        assert len(series["step"]) <= 50
        assert max(value for value in series["value"] if value != "NaN") > 5
        assert series["value"][series["step"].index(1234)] == "NaN"
        part = http.get(f"/v1/runs/{run}/series?metric=loss&from_step=700&to_step=800").json()
        assert part["step"] == list(range(700, 801))

    def test_attempts(self, http: httpx.Client, run: str, send: Send) -> None:
        for attempt in (0, 1):
            steps = array("q", [1, 2] if attempt == 0 else [2, 3])
            values = array("d", [attempt + 0.5] * 2)
            send(
                wire.Batch(
                    rank=0,
                    seq=0,
                    attempt=attempt,
                    step=steps,
                    time=array("d", [0.0, 1.0]),
                    metrics={"x": values},
                )
            )
        path = f"/v1/runs/{run}/series?metric=x"
        assert http.get(path).json()["value"] == [0.5, 1.5, 1.5]
        assert http.get(f"{path}&attempt=all").json()["value"] == [0.5, 0.5, 1.5, 1.5]
        assert http.get(f"{path}&attempt=0").json()["step"] == [1, 2]

    def test_more_points_than_there_may_be_are_no_mistake(
        self, http: httpx.Client, run: str, send: Send
    ) -> None:
        send(
            wire.Batch(
                rank=0,
                seq=0,
                step=array("q", [1]),
                time=array("d", [1.0]),
                metrics={"loss": array("d", [2.0])},
            )
        )
        answer = http.get(f"/v1/runs/{run}/series?metric=loss&points=99999999")
        assert (answer.status_code, answer.json()["value"]) == (200, [2.0])

    def test_without_a_rank_it_is_of_the_lowest_that_sent_it(
        self, http: httpx.Client, run: str, send: Send
    ) -> None:
        send(
            wire.Batch(
                rank=3,
                seq=0,
                step=array("q", [1]),
                time=array("d", [1.0]),
                metrics={"loss": array("d", [2.0])},
            )
        )
        assert http.get(f"/v1/runs/{run}/series?metric=loss").json()["value"] == [2.0]
        assert http.get(f"/v1/runs/{run}/series?metric=loss&rank=0").json()["value"] == []

    @pytest.mark.parametrize(
        ("query", "field"),
        [
            ("", "metric"),
            ("metric=", "metric"),
            ("metric=loss&points=0", "points"),
            ("metric=loss&points=many", "points"),
            ("metric=loss&from_step=x", "from_step"),
            ("metric=loss&to_step=99999999999999999999", "to_step"),
            ("metric=loss&attempt=latest", "attempt"),
        ],
    )
    def test_a_wrong_question_is_named(self, http: httpx.Client, run: str, query: str, field: str) -> None:
        answer = http.get(f"/v1/runs/{run}/series?{query}")
        assert (answer.status_code, answer.json()["field"]) == (422, field)


class TestAnIncident:
    @pytest.fixture
    def spiking(self, send: Send) -> dict[str, Any]:
        """A run with a spike at step 100 and leave to roll back; the answer to its last batch."""
        answers = [
            send(batch)
            for batch in batches_of(Story(steps=105, spikes=(100,), rollback="auto"), itertools.repeat(5))
        ]
        return answers[-1]

    def test_it_is_told_in_full(self, http: httpx.Client, run: str, spiking: dict[str, Any]) -> None:
        (incident,) = http.get(f"/v1/runs/{run}/incidents").json()
        assert incident.keys() == {
            "id",
            "kind",
            "severity",
            "metric",
            "start_step",
            "detected_step",
            "peak_step",
            "end_step",
            "state",
            "summary",
            "evidence",
        }
        assert (incident["kind"], incident["severity"], incident["state"]) == (
            "loss_spike",
            "critical",
            "open",
        )
        assert (incident["start_step"], incident["detected_step"]) == (100, 100)
        assert http.get(f"/v1/runs/{run}").json()["incidents_open"] == 1

    def test_the_answer_to_a_batch_brings_the_command(
        self, http: httpx.Client, run: str, spiking: dict[str, Any]
    ) -> None:
        (command,) = spiking["commands"]
        assert (command["kind"], command["to_step"], command["state"]) == ("rollback", 80, "pending")
        assert http.get(f"/v1/runs/{run}/commands").json() == [command]

    def test_an_alert_is_told_and_can_be_taken(
        self, http: httpx.Client, run: str, spiking: dict[str, Any]
    ) -> None:
        (alert,) = http.get("/v1/alerts").json()
        assert (alert["run"], alert["state"], alert["severity"]) == (run, "firing", "critical")
        taken = http.post(f"/v1/alerts/{alert['id']}/ack")
        assert (taken.status_code, taken.json()["state"]) == (200, "acknowledged")
        assert http.get("/v1/alerts").json()[0]["state"] == "acknowledged"

    def test_an_unknown_alert_cannot_be_taken(self, http: httpx.Client) -> None:
        answer = http.post("/v1/alerts/none/ack")
        assert (answer.status_code, answer.json()["field"]) == (404, "id")

    def test_pages_lead_to_it(self, http: httpx.Client, run: str, spiking: dict[str, Any]) -> None:
        home = http.get("/")
        assert home.headers["content-type"].startswith("text/html")
        assert f'href="/runs/{run}"' in home.text
        assert "loss_spike" in http.get(f"/runs/{run}").text

    def test_the_page_of_a_run_tells_how_it_stands(
        self, http: httpx.Client, run: str, spiking: dict[str, Any]
    ) -> None:
        page = http.get(f"/runs/{run}").text
        told_by_api = http.get(f"/v1/runs/{run}").json()
        step, joules = told_by_api["last_step"], told_by_api["ledger"]["joules"]
        for name, told in (
            ("status", "running"),
            ("last step", f"{step}, attempt 0"),
            ("rollback", "auto; 0 done, 0 steps lost"),
            ("energy", f"{number(joules)} J"),
        ):
            assert f"<th>{name}</th><td>{told}</td>" in page
        assert "<th>latest loss</th>" in page
        assert "refresh" not in page

    def test_the_address_that_a_job_prints_leads_to_its_page(self, http: httpx.Client, run: str) -> None:
        answer = http.get("/", params={"run": run}, follow_redirects=False)
        assert (answer.status_code, answer.headers["location"]) == (307, f"/runs/{run}")

    def test_a_redirect_stays_on_this_host(self, http: httpx.Client) -> None:
        answer = http.get("/", params={"run": "/evil.example/?a"}, follow_redirects=False)
        assert answer.headers["location"] == "/runs/%2Fevil.example%2F%3Fa"

    def test_the_page_of_a_run_that_is_not_heard_of_yet_asks_again(self, http: httpx.Client) -> None:
        answer = http.get("/", params={"run": "soon<b>"}, follow_redirects=True)
        assert answer.status_code == 200
        assert "not heard of yet" in answer.text
        assert '<meta http-equiv="refresh" content="2">' in answer.text
        assert "<b>" not in answer.text


class TestCommands:
    def test_one_by_hand_reaches_the_job(self, http: httpx.Client, run: str, send: Send) -> None:
        saved = {"kind": "checkpoint_saved", "step": 40, "time": 1.0}
        send(wire.Batch(rank=0, seq=9, events=[saved]))
        body = {"kind": "rollback", "to_step": 40, "lr_factor": 0.5, "reason": "bad data"}
        answer = http.post(f"/v1/runs/{run}/commands", json=body)
        assert answer.status_code == 201
        command = answer.json()
        assert (command["to_step"], command["lr_factor"], command["state"]) == (40, 0.5, "pending")
        assert send(wire.Batch(rank=0, seq=0))["commands"] == [command]

        applied = {"kind": "command_applied", "command": command["id"], "outcome": "refused"}
        answered = wire.Batch(rank=0, seq=1, events=[{**applied, "step": 50, "time": 1.0}])
        assert send(answered)["commands"] == []
        assert http.get(f"/v1/runs/{run}/commands").json()[0]["state"] == "refused"

    def test_one_for_a_run_that_is_over_has_expired(self, http: httpx.Client, run: str, send: Send) -> None:
        send(wire.Batch(rank=0, seq=0, events=[{"kind": "run_end", "time": 1.0}]))
        answer = http.post(f"/v1/runs/{run}/commands", json={"kind": "stop"})
        assert (answer.status_code, answer.json()["state"]) == (201, "expired")
        assert http.get(f"/v1/runs/{run}/commands").json() == [answer.json()]

    @pytest.mark.parametrize(
        ("body", "field", "remedy"),
        [
            ({}, "kind", "Give kind: it is required."),
            ({"kind": "explode"}, "kind", "Give 'rollback', 'scale_lr' or 'stop'."),
            ({"kind": "rollback"}, "to_step", "Give the step of a checkpoint (known: 40)."),
            ({"kind": "rollback", "to_step": 39}, "to_step", "Give the step of a checkpoint (known: 40)."),
            ({"kind": "rollback", "to_step": -1}, "to_step", "Give a number greater than or equal to 0."),
            ({"kind": "scale_lr"}, "lr_factor", "Give lr_factor, other than 1."),
            ({"kind": "scale_lr", "lr_factor": 0}, "lr_factor", "Give a number greater than 0."),
            ({"kind": "stop", "to_step": 40}, "to_step", "Leave to_step out, or ask for a rollback."),
            ({"kind": "stop", "code": "import os"}, "code", "Leave code out, or correct its name."),
        ],
    )
    def test_a_wrong_one_is_refused(
        self, http: httpx.Client, run: str, send: Send, body: dict[str, Any], field: str, remedy: str
    ) -> None:
        send(wire.Batch(rank=0, seq=0, events=[{"kind": "checkpoint_saved", "step": 40, "time": 1.0}]))
        answer = http.post(f"/v1/runs/{run}/commands", json=body)
        problem = answer.json()
        assert (answer.status_code, problem["field"], problem["remedy"]) == (422, field, remedy)
        assert problem["value"] == {"lr_factor": 1.0, **body}.get(field)
        assert http.get(f"/v1/runs/{run}/commands").json() == []


def test_the_ledger_is_priced(http: httpx.Client, run: str, send: Send) -> None:
    send(wire.Batch(rank=0, seq=0, devices=[Story(steps=10).device(1, 11)]))
    ledger = http.get(f"/v1/runs/{run}/ledger").json()
    assert ledger["energy"]["joules"] == 2250.0
    (row,) = ledger["energy"]["by"]
    assert (row["component"], row["method"], row["joules"]) == ("gpu", "counter", 2250.0)
    assert ledger["emissions_g"].keys() == {"location", "market"}
    assert {"factors", "cost", "lost_work"} <= ledger.keys()
    assert http.get(f"/v1/runs/{run}").json()["ledger"]["joules"] == 2250.0


class TestOtherProblems:
    def test_nothing_there(self, http: httpx.Client) -> None:
        answer = http.get("/v2/nothing")
        assert answer.status_code == 404
        assert answer.headers["content-type"] == "application/problem+json"

    @pytest.mark.parametrize("path", ["/v1/runs/run/batches", "/v1/alerts/x/ack"])
    def test_the_wrong_method(self, http: httpx.Client, run: str, path: str) -> None:
        answer = http.get(path)
        assert answer.status_code == 405
        assert answer.headers["allow"] == "POST"
        assert answer.json()["title"] == "Method not allowed"

    def test_a_body_that_is_no_json(self, http: httpx.Client) -> None:
        answer = http.post("/v1/runs", content=b"{", headers={"Content-Type": "application/json"})
        assert answer.status_code == 422
        assert answer.headers["content-type"] == "application/problem+json"
        problem = answer.json()
        assert (problem["field"], problem["value"]) == ("body", "{")
        assert problem["remedy"].startswith("Send one JSON object")

    def test_a_run_id_of_dots_says_what_to_use(self, http: httpx.Client) -> None:
        problem = http.post("/v1/runs", json={"project": "gpt", "run": ".."}).json()
        assert problem["value"] == ".."
        assert problem["remedy"].startswith("Use 1 to 128 letters")

    def test_a_web_page_cannot_post_behind_its_visitors_back(self, http: httpx.Client, run: str) -> None:
        answer = http.post(
            f"/v1/runs/{run}/commands",
            content=b'{"kind": "stop"}',
            headers={"Content-Type": "text/plain", "Origin": "http://evil.example"},
        )
        assert answer.status_code == 422

    def test_openapi_tells_of_batches_too(self, http: httpx.Client) -> None:
        paths = http.get("/openapi.json").json()["paths"]
        assert {"/v1/runs", "/v1/runs/{run}/batches", "/v1/runs/{run}/series", "/v1/stream"} <= paths.keys()
        assert http.get("/docs").status_code == 200

    def test_openapi_tells_what_is_answered(self, http: httpx.Client, run: str, send: Send) -> None:
        for batch in batches_of(Story(steps=105, spikes=(100,), rollback="auto"), itertools.repeat(5)):
            send(batch)
        document = http.get("/openapi.json").json()
        for path in ("", "/series", "/incidents", "/ledger", "/commands"):
            answers = document["paths"][f"/v1/runs/{{run}}{path}"]["get"]["responses"]
            assert answers.keys() == {"200", "default"}
            assert answers["default"]["content"].keys() == {"application/problem+json"}
            schema = answers["200"]["content"]["application/json"]["schema"]
            told = http.get(f"/v1/runs/{run}{path}?metric=loss").json()
            assert_fits(document, schema, told)
        problem = http.get("/v1/runs/nobody").json()
        assert_fits(document, {"$ref": "#/components/schemas/Problem"}, problem)


def assert_fits(document: dict[str, Any], schema: dict[str, Any], told: Any) -> None:
    """An object has the fields that its schema requires; of a list, the first."""
    if "$ref" in schema:
        schema = document["components"]["schemas"][schema["$ref"].rpartition("/")[2]]
    if schema["type"] == "array":
        assert_fits(document, schema["items"], told[0])
    else:
        assert schema["type"] == "object"
        assert set(schema.get("required", ())) <= told.keys()
        assert told.keys() & schema["properties"].keys()
