"""`trimtab alerts check` and `trimtab alerts test`, with real servers where alerts go."""

from __future__ import annotations

from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from trimtab_alerts.testing import Receiver, Reply
from trimtab_monitor.cli.alerts import app

KEY = "K3Y" + "x" * 29


def trimtab_alerts(tmp_path: Path, settings: str, *arguments: str) -> Result:
    config = tmp_path / "trimtab.toml"
    config.write_text(settings)
    command, *options = arguments
    return CliRunner().invoke(app, [command, "--config", str(config), *options])


def everywhere(ops: str, pagerduty: str, key_file: Path) -> str:
    key_file.write_text(KEY + "\n")
    return f"""
        [[alerts.webhooks]]
        name = "ops"
        url = "{ops}"
        secret = "hm4ck3y"
        [alerts.pagerduty]
        url = "{pagerduty}"
        routing_key_file = "{key_file}"
    """


def test_check_prints_who_is_told_of_what_and_no_secret(tmp_path: Path) -> None:
    settings = everywhere("https://u:pw5@hooks.example.com/t0ken", "http://127.0.0.1:9/", tmp_path / "key")
    result = trimtab_alerts(tmp_path, settings, "check")
    assert result.exit_code == 0, result.stderr
    assert result.stdout.splitlines() == [
        "console    warning, critical, and the end of each  ->  standard error",
        "ops        warning, critical, and the end of each  ->  https://hooks.example.com/… (signed)",
        "pagerduty  critical, and the end of each  ->  http://127.0.0.1:9/",
    ]


def test_check_says_what_would_never_arrive(tmp_path: Path) -> None:
    (tmp_path / "short").write_text("abc")
    settings = f"""
        [[alerts.webhooks]]
        name = "ops"
        url_file = "{tmp_path / "missing"}"
        [alerts.pagerduty]
        routing_key_file = "{tmp_path / "short"}"
    """
    result = trimtab_alerts(tmp_path, settings, "check")
    assert result.exit_code == 1
    assert f"ops: {tmp_path / 'missing'}: FileNotFoundError; make the file readable" in result.stderr
    assert f"pagerduty: {tmp_path / 'short'} holds 3 characters; a routing key has 32" in result.stderr


@pytest.mark.parametrize(
    ("settings", "says"),
    [
        ("[alerts.pagerduty]\nrouting_key = 's3cret'", "routing_key must have 32 characters"),
        ("[alerts]\nconsol = {}", "consol"),
        ("[alerts", "is not TOML"),
    ],
)
def test_settings_that_are_wrong_are_the_inputs_fault(tmp_path: Path, settings: str, says: str) -> None:
    result = trimtab_alerts(tmp_path, settings, "check")
    assert result.exit_code == 2
    assert says in result.stderr
    assert "s3cret" not in result.output


def test_check_fails_where_nobody_would_be_told(tmp_path: Path) -> None:
    result = trimtab_alerts(tmp_path, "[alerts.console]\nenabled = false", "check")
    assert result.exit_code == 1
    assert "nobody is told" in result.stderr


def test_a_test_alert_goes_through_each_destination_and_is_taken_back(tmp_path: Path) -> None:
    with Receiver() as ops, Receiver() as pagerduty:
        result = trimtab_alerts(tmp_path, everywhere(ops.url, pagerduty.url, tmp_path / "key"), "test")
        assert result.exit_code == 0, result.stderr
        first, last = (each.json() for each in pagerduty.received)
        bodies = [each.json() for each in ops.received]
    assert [first["event_action"], last["event_action"]] == ["trigger", "resolve"]
    assert first["dedup_key"] == last["dedup_key"]
    assert first["payload"]["severity"] == "critical"
    assert "nothing is wrong" in first["payload"]["summary"]
    assert [body["status"] for body in bodies] == ["firing", "resolved"]
    assert result.stdout.count("arrived") == 6
    assert "Test alert from Trimtab" in result.stderr


def test_a_destination_that_refuses_is_named_with_its_answer(tmp_path: Path) -> None:
    refusal = Reply(400, body=b'{"message": "Invalid Routing Key"}')
    with Receiver() as ops, Receiver(default=refusal) as pagerduty:
        result = trimtab_alerts(tmp_path, everywhere(ops.url, pagerduty.url, tmp_path / "key"), "test")
    assert result.exit_code == 1
    assert "pagerduty: alert FAILED (400 Bad Request" in result.stdout
    assert "Invalid Routing Key" in result.stdout
    assert "did not arrive at: pagerduty" in result.stderr
    assert KEY not in result.output


def test_one_destination_can_be_tried_alone(tmp_path: Path) -> None:
    with Receiver() as ops, Receiver() as pagerduty:
        settings = everywhere(ops.url, pagerduty.url, tmp_path / "key")
        assert trimtab_alerts(tmp_path, settings, "test", "--to", "ops").exit_code == 0
        assert (len(ops.received), len(pagerduty.received)) == (2, 0)
        unknown = trimtab_alerts(tmp_path, settings, "test", "--to", "opps")
    assert unknown.exit_code == 2
    assert "no destination is named 'opps'; there are: console, ops, pagerduty" in unknown.stderr
