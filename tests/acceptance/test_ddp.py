"""Two ranks train under torchrun, with a real collector: which one died, and which one is slow, is told."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
import urllib3

from trimtab_monitor.settings import Settings
from trimtab_monitor.testing import RunningCollector

SCRIPT = Path(__file__).with_name("ddp_rank.py")
FOR_EVER = "1000000"


@pytest.fixture
def collector(tmp_path: Path) -> Iterator[RunningCollector]:
    settings = Settings.model_validate({"detectors": {"straggler": {"rounds": 2}}})
    with RunningCollector(tmp_path / "collector", settings) as running:
        yield running


@contextmanager
def torchrun(folder: Path, url: str, *arguments: str) -> Iterator[list[tuple[int, str]]]:
    """Run two ranks while the block lasts; gives the process and the run of each."""
    clean = {name: value for name, value in os.environ.items() if not name.startswith(("TRIMTAB_", "RANK"))}
    environ = {"TRIMTAB_URL": url, "TRIMTAB_DIR": str(folder / "home"), "OMP_NUM_THREADS": "1"}
    launcher = [sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]
    with (folder / "log").open("wb") as log:
        job = subprocess.Popen(
            [*launcher, str(SCRIPT), *arguments], cwd=folder, env=clean | environ, stdout=log, stderr=log
        )
        try:
            named = [folder / f"rank{rank}" for rank in range(2)]
            wait_for("both ranks begin", folder, lambda: all(each.exists() for each in named))
            told = (each.read_text().split() for each in named)
            yield [(int(pid), run) for pid, run in told]
        finally:
            job.terminate()
            job.wait(60)


def wait_for(what: str, folder: Path, look: Callable[[], Any]) -> Any:
    until = time.monotonic() + 90.0
    while time.monotonic() < until:
        if found := look():
            return found
        time.sleep(0.05)
    raise AssertionError(f"not in time: {what}:\n{(folder / 'log').read_text()}")


def get(url: str) -> Any:
    answer = urllib3.request("GET", url, retries=False, timeout=10)
    assert answer.status in (200, 404), answer.data
    return json.loads(answer.data) if answer.status == 200 else None


def test_a_rank_that_is_killed_fails_the_run_and_is_named(
    collector: RunningCollector, tmp_path: Path
) -> None:
    with torchrun(tmp_path, collector.url, FOR_EVER) as ((_, run), (killed, other)):
        assert run == other
        api = f"{collector.url}/v1/runs/{run}"
        first = wait_for("steps are told", tmp_path, lambda: (get(api) or {}).get("last_step"))
        os.kill(killed, signal.SIGKILL)
        named = f"process {killed} of rank 1 on "
        wait_for("the run failed of rank 1", tmp_path, lambda: named in get(api)["reason"])
        told = get(api)
    assert told["last_step"] >= first
    assert told["status"] == "failed"
    (incident,) = [each for each in get(f"{api}/incidents") if each["kind"] == "failed"]
    assert told["reason"] in incident["summary"]
    (alert,) = [each for each in get(f"{collector.url}/v1/alerts") if each["kind"] == "failed"]
    assert alert["run"] == run
    assert (told["world_size"], told["origin"]["launcher"]) == (2, "torchrun")


def test_a_rank_for_which_the_other_waits_is_named(collector: RunningCollector, tmp_path: Path) -> None:
    with torchrun(tmp_path, collector.url, FOR_EVER, "0.02") as ((_, run), _):

        def straggler() -> Any:
            incidents = get(f"{collector.url}/v1/runs/{run}/incidents") or []
            return next((each for each in incidents if each["kind"] == "straggler"), None)

        found = wait_for("a rank is slow", tmp_path, straggler)
    assert found["summary"].startswith("rank 1 takes ")
