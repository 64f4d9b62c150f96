"""What docker compose would start, read as files: no Docker engine is needed, nor used."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml  # type: ignore[import-untyped]

from trimtab_monitor import metric_names
from trimtab_monitor.settings_load import load_settings

ROOT = Path(__file__).parents[3]
DEPLOY = ROOT / "deploy"
COMPOSE: dict[str, Any] = yaml.safe_load((ROOT / "docker-compose.yml").read_text())
SERVICES: dict[str, dict[str, Any]] = COMPOSE["services"]
DOCKERFILE = (DEPLOY / "Dockerfile").read_text()
EACH_SERVICE = pytest.mark.parametrize("name", SERVICES)


def read_yaml(path: str) -> Any:
    return yaml.safe_load((DEPLOY / path).read_text())


def mounts(name: str) -> dict[str, str]:
    """Source by target."""
    pairs = [volume.split(":") for volume in SERVICES[name].get("volumes", [])]
    return {pair[1]: pair[0] for pair in pairs}


def test_the_whole_house_is_there() -> None:
    assert set(SERVICES) == {"collector", "redis", "prometheus", "alertmanager", "grafana"}


@EACH_SERVICE
def test_what_a_service_mounts_exists(name: str) -> None:
    for source in mounts(name).values():
        if source.startswith("."):
            assert (ROOT / source).exists(), source
        else:
            assert source in COMPOSE["volumes"], source


@EACH_SERVICE
def test_a_service_is_pinned_and_reachable_from_this_machine_alone(name: str) -> None:
    service = SERVICES[name]
    assert "build" in service or re.search(r":v?\d+\.\d+", service["image"])
    assert "build" in service or "latest" not in service["image"]
    assert all(
        port.startswith(("127.0.0.1:", "${TRIMTAB_BIND:-127.0.0.1}:")) for port in service.get("ports", [])
    )
    assert service["restart"] == "unless-stopped"


@EACH_SERVICE
def test_what_a_service_waits_for_can_become_healthy(name: str) -> None:
    for other in SERVICES[name].get("depends_on", {}):
        assert "healthcheck" in SERVICES[other] or (other == "collector" and "HEALTHCHECK" in DOCKERFILE)


def test_files_named_in_commands_are_mounted() -> None:
    named = [
        ("collector", "/etc/trimtab/trimtab.toml"),
        ("prometheus", "/etc/prometheus/prometheus.yml"),
        ("alertmanager", "/etc/alertmanager/alertmanager.yml"),
        ("redis", "/etc/redis/redis.conf"),
    ]
    for name, path in named:
        assert any(path in word for word in SERVICES[name]["command"])
        (target,) = (target for target in mounts(name) if path.startswith(target))
        assert (ROOT / mounts(name)[target] / Path(path).relative_to(target)).is_file()


def test_addresses_agree_over_all_files() -> None:
    port = "8787"
    assert f"EXPOSE {port}" in DOCKERFILE
    assert f"http://127.0.0.1:{port}/healthz" in DOCKERFILE
    (scrape,) = read_yaml("prometheus/prometheus.yml")["scrape_configs"]
    assert scrape["static_configs"] == [{"targets": [f"collector:{port}"]}]
    (source,) = read_yaml("grafana/provisioning/datasources/prometheus.yml")["datasources"]
    assert source["url"] == "http://prometheus:9090"
    assert source["jsonData"]["timeInterval"] == scrape["scrape_interval"]


def test_grafana_is_given_the_committed_dashboards() -> None:
    (provider,) = read_yaml("grafana/provisioning/dashboards/trimtab.yml")["providers"]
    folder = ROOT / mounts("grafana")[provider["options"]["path"]]
    home = SERVICES["grafana"]["environment"]["GF_DASHBOARDS_DEFAULT_HOME_DASHBOARD_PATH"]
    dashboard = folder / Path(home).relative_to(provider["options"]["path"])
    assert json.loads(dashboard.read_text())["uid"] == "trimtab-run"


def test_the_image_is_built_from_what_is_there_and_runs_as_nobody_special() -> None:
    for line in re.findall(r"^COPY (?!--from)(.+) \S+$", DOCKERFILE, re.MULTILINE):
        for source in line.split():
            assert (ROOT / source).exists(), source
            assert f"!{source}" in (ROOT / ".dockerignore").read_text().splitlines(), source
    assert re.search(r"^USER trimtab$", DOCKERFILE, re.MULTILINE)
    assert "'.[monitor]'" in DOCKERFILE


def test_redis_refuses_writes_rather_than_lose_entries() -> None:
    config = dict(
        line.split(maxsplit=1) for line in (DEPLOY / "redis/redis.conf").read_text().splitlines()[1:]
    )
    assert config["maxmemory-policy"] == "noeviction"


def test_the_collectors_settings_load(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.chdir(tmp_path)
    assert load_settings(DEPLOY / "trimtab.toml").alerts.console.enabled


def test_the_settings_shown_as_examples_are_right(tmp_path: Path) -> None:
    text = (DEPLOY / "trimtab.toml").read_text()
    examples = re.sub(r"^# (?=\[|\w+ = )", "", text, flags=re.MULTILINE)
    path = tmp_path / "trimtab.toml"
    path.write_text(examples)
    names = [name for name, _ in load_settings(path).alerts.destinations()]
    assert names == ["console", "ops", "pagerduty"]


def rules() -> list[dict[str, Any]]:
    return [rule for group in read_yaml("prometheus/trimtab.rules.yml")["groups"] for rule in group["rules"]]


def test_every_rule_has_a_summary_and_a_test_and_asks_for_metrics_that_are() -> None:
    known = {value for name, value in vars(metric_names).items() if name.isupper()}
    tests = (DEPLOY / "prometheus/trimtab.rules.test.yml").read_text()
    for rule in rules():
        assert set(re.findall(r"trimtab_\w+", rule["expr"])) <= known, rule["alert"]
        assert rule["annotations"]["summary"]
        assert rule["alert"] in tests
        assert "severity" in rule.get("labels", {}) or "severity" in rule["expr"]
