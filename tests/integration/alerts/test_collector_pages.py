"""A real collector pages a real HTTP server: through a kill and an acknowledgement to the end, one key."""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
import time
import urllib.error
import urllib.request
from array import array
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from trimtab import wire
from trimtab_alerts.testing import Received, Receiver, Reply

RUN = "gpt-1"
STEPS = 300
DEADLINE_SECONDS = 60.0


@contextmanager
def collector(folder: Path, port: int, pagerduty: str) -> Iterator[None]:
    """A collector on the folder, ready; killed at the end, with no time to tidy up."""
    config = folder / "trimtab.toml"
    config.write_text(f'[alerts.pagerduty]\nurl = "{pagerduty}"\nrouting_key = "{"K" * 32}"\n')
    command = [sys.executable, "-m", "trimtab_monitor", "serve", "--port", str(port), "--config", str(config)]
    environment = {**os.environ, "TRIMTAB_DIR": str(folder / "data")}
    log = (folder / "log").open("ab")
    with log, subprocess.Popen(command, env=environment, stdout=log, stderr=log, cwd=folder) as process:
        try:
            wait_until(lambda: is_ready(port), (folder / "log").read_text)
            yield
        finally:
            process.kill()


def wait_until(condition: Callable[[], bool], why_not: Callable[[], str]) -> None:
    deadline = time.monotonic() + DEADLINE_SECONDS
    while not condition():
        assert time.monotonic() < deadline, why_not()
        time.sleep(0.05)


def is_ready(port: int) -> bool:
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/readyz", timeout=5) as answer:
            return bool(answer.status == 200)
    except (urllib.error.URLError, OSError):
        return False


def post(port: int, path: str, body: bytes = b"{}", content_type: str = wire.JSON) -> Any:
    url = f"http://127.0.0.1:{port}{path}"
    request = urllib.request.Request(url, body, {"Content-Type": content_type})
    with urllib.request.urlopen(request, timeout=30) as answer:
        return json.load(answer)


def send(port: int, seq: int, loss: Callable[[int], float]) -> None:
    first = 1 + seq * STEPS
    steps = range(first, first + STEPS)
    batch = wire.Batch(
        rank=0,
        seq=seq,
        attempt=0,
        step=array("q", steps),
        time=array("d", [time.time() - 2 * STEPS + step for step in steps]),
        metrics={wire.LOSS: array("d", [loss(step) for step in steps])},
        devices=[],
        events=[],
    )
    post(port, f"/v1/runs/{RUN}/batches", wire.encode(batch), wire.MSGPACK)


def well(step: int) -> float:
    return 3.0 + 0.01 * math.sin(step)


def nan_at_the_end(step: int) -> float:
    return math.nan if step == STEPS else well(step)


def events(received: list[Received]) -> list[tuple[str, str]]:
    return [(each.json()["event_action"], each.json()["dedup_key"]) for each in received]


def test_a_page_survives_a_kill_and_is_acknowledged_and_resolved_under_its_key(
    tmp_path: Path, free_port: Callable[[], int]
) -> None:
    port = free_port()
    with Receiver(default=Reply(503)) as away, collector(tmp_path, port, away.url):
        post(port, "/v1/runs", json.dumps({"run": RUN, "project": "gpt"}).encode())
        send(port, 0, nan_at_the_end)
        (action, key) = events(away.wait_for(1))[0]
        assert action == "trigger"
    with Receiver() as back, collector(tmp_path, port, back.url):
        assert events(back.wait_for(1)) == [("trigger", key)]
        post(port, f"/v1/alerts/{key.removeprefix('trimtab-')}/ack")
        back.wait_for(2)
        send(port, 1, well)
        told = events(back.wait_for(3))
    assert told == [("trigger", key), ("acknowledge", key), ("resolve", key)]
