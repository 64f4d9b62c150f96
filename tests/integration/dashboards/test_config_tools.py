"""Prometheus' and Alertmanager's own tools on the files that compose mounts."""

from __future__ import annotations

import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
FindTool = Callable[[str], str]


def run(*command: str, cwd: Path = ROOT) -> str:
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, f"{' '.join(command)}:\n{done.stdout}{done.stderr}"
    return done.stdout


def test_prometheus_takes_its_configuration_and_rules(find_tool: FindTool) -> None:
    out = run(find_tool("promtool"), "check", "config", "deploy/prometheus/prometheus.yml")
    assert "1 rule files found" in out
    run(find_tool("promtool"), "check", "rules", "deploy/prometheus/trimtab.rules.yml")


def test_every_alert_rule_is_silent_when_all_is_well_and_fires_when_it_should(find_tool: FindTool) -> None:
    run(find_tool("promtool"), "test", "rules", "trimtab.rules.test.yml", cwd=ROOT / "deploy/prometheus")


def test_alertmanager_takes_its_configuration(find_tool: FindTool) -> None:
    run(find_tool("amtool"), "check-config", "deploy/alertmanager/alertmanager.yml")


@pytest.mark.parametrize(
    ("alertname", "receiver"), [("TrimtabIncident", "people"), ("TrimtabWatchdog", "watchdog")]
)
def test_alerts_are_routed(find_tool: FindTool, alertname: str, receiver: str) -> None:
    config = "--config.file=deploy/alertmanager/alertmanager.yml"
    out = run(find_tool("amtool"), "config", "routes", "test", config, f"alertname={alertname}")
    assert out.strip() == receiver


def test_docker_compose_takes_its_file() -> None:
    docker = shutil.which("docker")
    if docker is None or subprocess.run([docker, "compose", "version"], capture_output=True).returncode:
        pytest.skip("docker compose is not here; tests/unit/dashboards/test_deploy_files.py reads its file")
    run(docker, "compose", "config", "--quiet")
