"""The webhook's body beside the one that a real Alertmanager sends for the same alert."""

from __future__ import annotations

import json
import re
import urllib.request
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from trimtab_alerts.alert import Alert, AlertBook
from trimtab_alerts.notifiers import webhook
from trimtab_alerts.testing import Receiver, SampleIncident
from trimtab_alerts.text import rfc3339, run_page

URL = "http://trimtab.example.com"
CONFIG = """
route: {receiver: ops, group_by: [incident, run], group_wait: 0s, group_interval: 1s}
receivers: [{name: ops, webhook_configs: [{url: "URL"}]}]
"""


def push(port: int, alert: Alert) -> None:
    body = [
        {
            "labels": alert.labels,
            "annotations": alert.annotations,
            "startsAt": rfc3339(alert.starts_at),
            "generatorURL": run_page(URL, alert.run),
        }
    ]
    url = f"http://127.0.0.1:{port}/api/v2/alerts"
    headers = {"Content-Type": "application/json"}
    request = urllib.request.Request(url, json.dumps(body).encode(), headers)
    with urllib.request.urlopen(request, timeout=10) as answer:
        assert answer.status == 200


@pytest.fixture
def from_alertmanager(
    find_tool: Callable[[str], str],
    free_port: Callable[[], int],
    start_program: Callable[[list[str], str], None],
    tmp_path: Path,
) -> Callable[[Alert], dict[str, Any]]:
    """What Alertmanager posts for an alert."""

    def ask(alert: Alert) -> dict[str, Any]:
        port = free_port()
        with Receiver() as receiver:
            config = tmp_path / "alertmanager.yml"
            config.write_text(CONFIG.replace("URL", receiver.url))
            command = [find_tool("prometheus-alertmanager"), f"--config.file={config}"]
            command += [f"--storage.path={tmp_path / 'data'}", "--cluster.listen-address="]
            command += [f"--web.listen-address=127.0.0.1:{port}", f"--web.external-url={URL}"]
            start_program([*command, "--web.route-prefix=/"], f"http://127.0.0.1:{port}/-/ready")
            push(port, alert)
            (first, *_) = receiver.wait_for(1)
        body: dict[str, Any] = first.json()
        return body

    return ask


def test_the_body_is_the_one_that_alertmanager_sends(
    from_alertmanager: Callable[[Alert], dict[str, Any]],
) -> None:
    (transition,) = AlertBook("run-1").observe(SampleIncident(evidence={"expected": 2.9}))
    theirs, ours = from_alertmanager(transition.alert), webhook.render(transition.alert, "ops", URL)
    (their_alert,), (our_alert,) = theirs.pop("alerts"), ours.pop("alerts")
    assert ours == theirs
    assert moment(our_alert.pop("startsAt")) == moment(their_alert.pop("startsAt"))
    for fingerprint in (our_alert.pop("fingerprint"), their_alert.pop("fingerprint")):
        assert re.fullmatch("[0-9a-f]{16}", fingerprint)
    assert our_alert == their_alert


def moment(text: str) -> datetime:
    return datetime.fromisoformat(text)
