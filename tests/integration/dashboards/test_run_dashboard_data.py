"""Every query of the committed dashboard, put to a real Prometheus beside a real collector with a run."""

from __future__ import annotations

import json
import sys
import time
import urllib.parse
import urllib.request
from array import array
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from trimtab import wire
from trimtab_dashboards.files import FOLDER

ROOT = Path(__file__).parents[3]
DASHBOARD: dict[str, Any] = json.loads((FOLDER / "run.json").read_text(encoding="utf-8"))
QUERIES = [
    pytest.param(panel, target, id=f"{panel['title']}-{target['refId']}")
    for panel in DASHBOARD["panels"]
    for target in panel["targets"]
]
RUN = "gpt-20261122-120000-abcd"
STEPS = 200
DEADLINE_SECONDS = 90.0
PRICED = {
    "TRIMTAB_ENERGY__PLACE": "FR",
    "TRIMTAB_ENERGY__PRICE_PER_KWH": "0.25",
    "TRIMTAB_BUDGET__KWH": "1",
}


def get(url: str, **query: Any) -> Any:
    with urllib.request.urlopen(f"{url}?{urllib.parse.urlencode(query)}", timeout=10) as answer:
        return json.load(answer)


def post(url: str, body: bytes, content_type: str = "application/json") -> Any:
    request = urllib.request.Request(url, body, {"Content-Type": content_type})
    with urllib.request.urlopen(request, timeout=30) as answer:
        return json.load(answer)


@dataclass(frozen=True)
class House:
    """Where the programs answer."""

    collector: str
    prometheus: str
    alertmanager: str


def a_run(collector: str) -> None:
    """A run that goes well and then loses its footing: the last loss is not a number."""
    registration = {"run": RUN, "project": "gpt", "total_steps": 1000, "tokens_per_step": 4096}
    post(f"{collector}/v1/runs", json.dumps(registration).encode())
    post(f"{collector}/v1/runs/{RUN}/batches", wire.encode(a_batch(time.time())), wire.MSGPACK)


def a_batch(now: float) -> wire.Batch:
    times = array("d", [now - STEPS + step for step in range(STEPS)])
    loss = array("d", [4.0 / (1.0 + step / 50) + 0.01 * (step % 7) for step in range(STEPS)])
    loss[-1] = float("nan")
    return wire.Batch(
        rank=0,
        seq=0,
        attempt=0,
        step=array("q", range(1, STEPS + 1)),
        time=times,
        metrics={
            wire.LOSS: loss,
            wire.EVAL_LOSS: array("d", [3.0] * STEPS),
            wire.GRAD_NORM: array("d", [1.0 + 0.01 * (step % 5) for step in range(STEPS)]),
            wire.LR: array("d", [3e-4] * STEPS),
            wire.STEP_SECONDS: array("d", [1.0] * STEPS),
        },
        devices=[a_gpu(times)],
        events=[start(now - STEPS)],
    )


def a_gpu(times: array[float]) -> wire.Device:
    return wire.Device(
        host="node-1",
        boot_id="boot-1",
        uuid="GPU-1",
        component="gpu",
        name="H200",
        method="nvml_total_energy",
        time=times,
        power_w=array("d", [412.5] * STEPS),
        energy_counter=array("q", [412_500 * second for second in range(STEPS)]),
        counter_unit_j=1e-3,
        counter_range=None,
        util=None,
        mem_used_bytes=None,
        temp_c=None,
    )


def start(at: float) -> dict[str, Any]:
    facts = {"rollback": "off", "host": "node-1", "boot_id": "boot-1", "pid": 1, "world_size": 1, "rank": 0}
    return {"kind": wire.RUN_START, "step": 0, "time": at, **facts}


def wait_for(condition: Callable[[], bool], what: str) -> None:
    deadline = time.monotonic() + DEADLINE_SECONDS
    while not condition():
        assert time.monotonic() < deadline, f"{what}: not within {DEADLINE_SECONDS} s"
        time.sleep(0.2)


def configured(folder: Path, collector_port: int, alertmanager_port: int) -> Path:
    """The files that compose mounts, as they are but for the addresses of the two neighbours."""
    source = ROOT / "deploy" / "prometheus"
    text = (source / "prometheus.yml").read_text()
    for was, port in (("collector:8787", collector_port), ("alertmanager:9093", alertmanager_port)):
        assert text.count(was) == 1
        text = text.replace(was, f"127.0.0.1:{port}")
    (folder / "trimtab.rules.yml").write_text((source / "trimtab.rules.yml").read_text())
    config = folder / "prometheus.yml"
    config.write_text(text)
    return config


@pytest.fixture(scope="module")
def house(
    find_tool: Callable[[str], str],
    free_port: Callable[[], int],
    start_program: Callable[[list[str], str], None],
    tmp_path_factory: pytest.TempPathFactory,
) -> House:
    folder = tmp_path_factory.mktemp("house")
    ports = {name: free_port() for name in ("collector", "prometheus", "alertmanager")}
    urls = {name: f"http://127.0.0.1:{port}" for name, port in ports.items()}
    config = configured(folder, ports["collector"], ports["alertmanager"])
    prometheus, alertmanager = find_tool("prometheus"), find_tool("prometheus-alertmanager")
    with pytest.MonkeyPatch.context() as environment:
        environment.setenv("TRIMTAB_DIR", str(folder / "trimtab"))
        for name, value in PRICED.items():
            environment.setenv(name, value)
        command = [sys.executable, "-m", "trimtab_monitor", "serve", "--port", str(ports["collector"])]
        start_program(command, f"{urls['collector']}/readyz")
    a_run(urls["collector"])
    start_program(
        [
            alertmanager,
            f"--config.file={ROOT / 'deploy/alertmanager/alertmanager.yml'}",
            f"--storage.path={folder / 'alertmanager'}",
            f"--web.listen-address=127.0.0.1:{ports['alertmanager']}",
            "--cluster.listen-address=",
        ],
        f"{urls['alertmanager']}/-/ready",
    )
    start_program(
        [
            prometheus,
            f"--config.file={config}",
            f"--storage.tsdb.path={folder / 'prometheus'}",
            f"--web.listen-address=127.0.0.1:{ports['prometheus']}",
        ],
        f"{urls['prometheus']}/-/ready",
    )
    house = House(**urls)
    wait_for(
        lambda: bool(ask(house, f'trimtab_run_incidents_open{{run="{RUN}", severity="critical"}} > 0')),
        "scraped",
    )
    return house


def ask(house: House, expr: str) -> list[dict[str, Any]]:
    answer = get(f"{house.prometheus}/api/v1/query", query=expr)
    assert answer["status"] == "success"
    result: list[dict[str, Any]] = answer["data"]["result"]
    return result


def ask_over_time(house: House, expr: str) -> list[dict[str, Any]]:
    now = time.time()
    answer = get(f"{house.prometheus}/api/v1/query_range", query=expr, start=now - 300, end=now, step=5)
    assert answer["status"] == "success"
    result: list[dict[str, Any]] = answer["data"]["result"]
    return result


def of_the_run(expr: str) -> str:
    return expr.replace("$run", RUN)


@pytest.mark.parametrize(("panel", "target"), QUERIES)
def test_every_query_of_every_panel_has_data(
    house: House, panel: dict[str, Any], target: dict[str, Any]
) -> None:
    expr = of_the_run(target["expr"])
    assert "$" not in expr
    found = ask(house, expr) if target["instant"] else ask_over_time(house, expr)
    assert found, f"{panel['title']}: {expr}"
    for label in legend_labels(target["legendFormat"]):
        assert all(label in series["metric"] for series in found), f"{panel['title']}: no label {label}"


def legend_labels(legend: str) -> list[str]:
    return [piece.partition("}}")[0] for piece in legend.split("{{")[1:]]


def test_the_run_can_be_chosen(house: House) -> None:
    (variable,) = (each for each in DASHBOARD["templating"]["list"] if each["name"] == "run")
    assert variable["query"]["query"] == "label_values(trimtab_run_info, run)"
    answer = get(f"{house.prometheus}/api/v1/label/run/values", **{"match[]": "trimtab_run_info"})
    assert answer["data"] == [RUN]


def test_incidents_are_marked_on_every_chart(house: House) -> None:
    (annotation,) = DASHBOARD["annotations"]["list"]
    assert ask_over_time(house, of_the_run(annotation["expr"]))


def test_the_figures_are_the_runs(house: House) -> None:
    def value(title: str) -> float:
        (panel,) = (each for each in DASHBOARD["panels"] if each["title"] == title)
        (series,) = ask(house, of_the_run(panel["targets"][0]["expr"]))
        return float(series["value"][1])

    assert value("Step") == STEPS
    assert value("Power") == 412.5
    assert value("IT energy") == pytest.approx(412.5 * (STEPS - 1), rel=1e-6)
    assert value("Emissions") == pytest.approx(412.5 * (STEPS - 1) / 3.6e6 * 44.18, rel=1e-6)
    assert value("Cost") == pytest.approx(412.5 * (STEPS - 1) / 3.6e6 * 0.25, rel=1e-6)
    assert value("Loss") != value("Loss"), "the last loss is NaN, and stays so"
    assert value("Tokens per second") == 4096.0


def test_an_open_incident_reaches_alertmanager_by_the_second_route(house: House) -> None:
    def alerts() -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = get(f"{house.alertmanager}/api/v2/alerts")
        return [alert for alert in found if alert["labels"]["alertname"] == "TrimtabIncident"]

    wait_for(lambda: bool(alerts()), "the incident is at Alertmanager")
    (alert,) = (alert for alert in alerts() if alert["labels"]["severity"] == "critical")
    assert alert["labels"]["run"] == RUN
    assert alert["receivers"] == [{"name": "people"}]
