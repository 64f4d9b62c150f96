"""A training process is killed at a random moment: no step is lost, and people are told.

`TRIMTAB_TEST_KILLS` sets how many times (default 2).
"""

from __future__ import annotations

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import urllib3

KILLS = int(os.environ.get("TRIMTAB_TEST_KILLS", "2"))

JOB = """
import os, struct, sys, time
import trimtab

last_returned = os.open("last_returned", os.O_RDWR | os.O_CREAT)
watch = trimtab.watch(project="killed")
open("run.tmp", "w").write(watch.run + " " + watch.url)
os.replace("run.tmp", "run")
while True:
    result = watch.step(loss=2.0 + 0.01 * (watch.step_number % 7), grad_norm=0.5)
    os.pwrite(last_returned, struct.pack("<q", result.step), 0)
    time.sleep(0.0005)
"""


@pytest.fixture
def environment(tmp_path: Path) -> Iterator[dict[str, str]]:
    clean = {name: value for name, value in os.environ.items() if not name.startswith("TRIMTAB_")}
    yield clean | {"TRIMTAB_DIR": str(tmp_path / "state"), "TRIMTAB_SERVER__IDLE_EXIT_S": "5"}
    told = tmp_path / "state" / "collector.json"
    if told.exists():
        os.kill(json.loads(told.read_text())["pid"], signal.SIGTERM)


def wait_for(what: str, look: Callable[[], Any], seconds: float = 60) -> Any:
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        if (found := look()) is not None:
            return found
        time.sleep(0.05)
    raise AssertionError(f"not within {seconds} s: {what}")


def get(url: str) -> Any:
    """The answer; None where there is none yet: a job may be killed before it was heard of."""
    answer = urllib3.request("GET", url, retries=False, timeout=10)
    assert answer.status in (200, 404), answer.data
    return json.loads(answer.data) if answer.status == 200 else None


@pytest.mark.parametrize("kill", range(KILLS))
def test_every_step_that_returned_is_told_and_the_run_failed(
    kill: int, tmp_path: Path, environment: dict[str, str]
) -> None:
    job = subprocess.Popen([sys.executable, "-c", JOB], cwd=tmp_path, env=environment)
    named = tmp_path / "run"
    try:
        wait_for("the job names its run", lambda: named.exists() or None)
        run, page = named.read_text().split()
        time.sleep(random.Random(kill).uniform(0.0, 4.0))
    finally:
        job.kill()
        job.wait()
    returned = int.from_bytes((tmp_path / "last_returned").read_bytes() or bytes(8), "little")
    parts = urlsplit(page)
    api = f"{parts.scheme}://{parts.netloc}/v1"

    def failed() -> Any:
        status = get(f"{api}/runs/{run}")
        return status if status is not None and status["status"] == "failed" else None

    wait_for("the run is told as failed", failed)
    steps = get(f"{api}/runs/{run}/series?metric=loss&points=100000")["step"]
    assert steps == list(range(1, len(steps) + 1))
    assert returned <= len(steps) <= returned + 1, "at most the step that was under way is told besides"
    alerts = [each for each in get(f"{api}/alerts") if each["run"] == run]
    assert [each["kind"] for each in alerts] == ["failed"]
