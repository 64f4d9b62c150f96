"""What a run may use is checked where it registers, and told with its ledger."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from trimtab_monitor.settings import Settings
from trimtab_monitor.testing import RunningCollector


@pytest.fixture(scope="module")
def http(tmp_path_factory: pytest.TempPathFactory) -> Iterator[httpx.Client]:
    folder: Path = tmp_path_factory.mktemp("collector")
    settings = Settings.model_validate({"budget": {"kg": 3.0}})
    with RunningCollector(folder, settings) as collector, httpx.Client(base_url=collector.url) as client:
        yield client


@pytest.mark.parametrize(
    ("budget", "field"),
    [
        ('{"kwh": 0}', "kwh"),
        ('{"kwh": -1}', "kwh"),
        ('{"kg": NaN}', "kg"),
        ('{"cost": Infinity}', "cost"),
        ('{"cost": 1, "currency": "euro"}', "currency"),
        ("5", "budget"),
    ],
)
def test_a_budget_that_is_none_is_refused(http: httpx.Client, budget: str, field: str) -> None:
    body = f'{{"project": "gpt", "budget": {budget}}}'
    answer = http.post("/v1/runs", content=body, headers={"Content-Type": "application/json"})
    assert answer.status_code == 422, answer.text
    assert field in answer.json()["field"]


def test_the_ledger_tells_the_budgets_of_a_run_and_what_is_unknown(http: httpx.Client) -> None:
    budget = {"kwh": 5.0, "cost": 9.0, "currency": "EUR", "stop": True}
    assert http.post("/v1/runs", json={"project": "gpt", "run": "a", "budget": budget}).status_code == 200
    assert http.get("/v1/runs/a").json()["budget"] == budget
    told = http.get("/v1/runs/a/ledger").json()
    lines = {line["name"]: line for line in told["budget"]["lines"]}
    assert {name: (line["limit"], line["stop"]) for name, line in lines.items()} == {
        "kwh": (5.0, True),
        "kg": (3.0, False),
        "cost": (9.0, True),
    }
    assert all(line["ratio"] is None and line["note"] for line in lines.values())
    assert told["forecast"]["completion"] is None
    assert told["forecast"]["notes"]


def test_a_project_of_which_nobody_knows_is_told(http: httpx.Client) -> None:
    answer = http.get("/v1/projects/nobody")
    assert answer.status_code == 404
    assert answer.json()["field"] == "project"
    assert http.get("/openapi.json").status_code == 200


def test_a_target_loss_must_be_a_number(http: httpx.Client) -> None:
    assert http.post("/v1/runs", json={"project": "gpt", "run": "b"}).status_code == 200
    assert http.get("/v1/runs/b/ledger", params={"target_loss": "2.1"}).status_code == 200
    assert http.get("/v1/runs/b/ledger", params={"target_loss": "nan"}).status_code == 422
