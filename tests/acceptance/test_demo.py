"""The main job, as a newcomer sees it: three runs, two faults, both noticed and undone."""

from __future__ import annotations

import json
import math
import os
import subprocess
import sys
from typing import Any

import pytest

STEPS = 150


@pytest.fixture(scope="module")
def demo(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    folder = tmp_path_factory.mktemp("demo")
    environment = {name: value for name, value in os.environ.items() if not name.startswith("TRIMTAB_")}
    done = subprocess.run(
        [
            *(sys.executable, "-m", "trimtab_monitor", "demo"),
            *("--steps", str(STEPS), "--json", "result.json", "--plot", "picture.png"),
        ],
        cwd=folder,
        env=environment | {"TRIMTAB_DIR": str(folder / "state")},
        capture_output=True,
        text=True,
        timeout=280,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert (folder / "picture.png").read_bytes().startswith(b"\x89PNG")
    result: dict[str, Any] = json.loads((folder / "result.json").read_text())
    return result


def run(demo: dict[str, Any], name: str) -> dict[str, Any]:
    found: dict[str, Any] = next(each for each in demo["runs"] if each["name"] == name)
    return found


def test_the_clean_run_is_left_in_peace(demo: dict[str, Any]) -> None:
    clean = run(demo, "clean")
    assert (clean["steps"], clean["incidents"], clean["rollbacks"]) == (STEPS, 0, 0)


def test_each_fault_is_noticed_within_two_steps_and_rolled_back(demo: dict[str, Any]) -> None:
    assert [fault["kind"] for fault in demo["faults"]] == ["corrupt_data", "learning_rate"]
    for fault in demo["faults"]:
        assert 0 <= fault["detected_step"] - fault["start_step"] <= 2
        assert fault["rolled_back_to"] < fault["start_step"]


def test_the_watched_run_ends_as_the_clean_one_and_the_other_does_not(demo: dict[str, Any]) -> None:
    clean = run(demo, "clean")["final_eval_loss"]
    watched = run(demo, "watched")
    assert watched["steps"] == STEPS
    assert watched["final_eval_loss"] / clean < 1.05
    assert run(demo, "unwatched")["final_eval_loss"] / clean > 1.1


def test_the_bill_adds_up(demo: dict[str, Any]) -> None:
    energy = demo["energy"]
    assert energy["joules"] > 0
    assert math.isclose(energy["joules"], sum(row["joules"] for row in energy["by"]), rel_tol=1e-9)
    assert demo["emissions_g"]["location"] > 0
    assert 0 < demo["lost_work"]["joules"] < energy["joules"]
