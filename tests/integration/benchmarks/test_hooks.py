"""The hooks' benchmark as a command, and the supervisor that it runs clients under."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

BENCHMARKS = Path(__file__).parents[3] / "benchmarks"


def test_the_command_measures_a_client_beside_the_floor() -> None:
    command = [
        sys.executable,
        str(BENCHMARKS / "hooks.py"),
        "--only",
        "cost",
        "--clients",
        "floor",
        "trimtab",
    ]

    done = subprocess.run([*command, "--metrics", "3", "--share", "0.01"], capture_output=True, text=True)

    assert done.returncode == 0, done.stderr
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert [line["client"] for line in lines] == ["floor", "trimtab"] * 2
    own = [line for line in lines if line["client"] == "trimtab"]
    assert [line["delivered"] for line in own] == [100, 20]
    assert all(line["median_us"] > 0 and line["median_ratio_to_floor"] > 0 for line in own)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux hands orphans to another process than init")
def test_the_supervisor_adds_up_helpers_that_outlive_the_script_and_ends_those_that_stay(
    tmp_path: Path,
) -> None:
    helper = (
        "import time; end = time.process_time() + 0.2\nwhile time.process_time() < end: pass\ntime.sleep(99)"
    )
    script = f"import subprocess, sys; subprocess.Popen([sys.executable, '-c', {helper!r}])"
    usage = tmp_path / "usage.json"
    command = [sys.executable, "-m", "hooks_bench.supervisor", str(usage), "1", sys.executable, "-c", script]

    subprocess.run(command, check=True, timeout=30, env=os.environ | {"PYTHONPATH": str(BENCHMARKS)})

    found = json.loads(usage.read_text())
    assert found["status"] == 0
    assert found["helpers_cpu_s"] >= 0.2
    assert found["helpers_s"] >= 1.0
