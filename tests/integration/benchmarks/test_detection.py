"""The benchmark of detection, as it is run from the command line."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

PROGRAM = Path(__file__).parents[3] / "benchmarks" / "detection.py"
QUICK = ("Lightning SpikeDetection", "InternEvo ratio")


def run(*arguments: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, str(PROGRAM), *arguments]
    return subprocess.run(command, capture_output=True, text=True, timeout=120, check=False)


def test_a_json_line_a_detector_a_table_and_a_picture(tmp_path: Path) -> None:
    done = run("--detectors", *QUICK, "--plot", str(tmp_path / "out.png"))

    assert done.returncode == 0, done.stderr
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert [line["detector"] for line in lines] == list(QUICK)
    assert all(0 <= line["f1"] <= 1 and line["events"] > 0 for line in lines)
    assert all(name in done.stderr for name in QUICK)
    assert (tmp_path / "out.png").read_bytes().startswith(b"\x89PNG")


def test_a_json_line_a_case_and_detector() -> None:
    done = run("--cases", "--seeds", "1", "--detectors", "InternEvo ratio")

    assert done.returncode == 0, done.stderr
    lines = [json.loads(line) for line in done.stdout.splitlines()]
    assert {"bloom", "drift", "benign_shift"} <= {line["case"] for line in lines}


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (("--curves", "nowhere"), "nowhere/INDEX.csv: no such file or directory; give --curves a folder"),
        (("--plot", "out.gif"), "'out.gif' ends in none of .png, .svg, .pdf"),
        (("--plot", "nowhere/out.png"), "there is no folder"),
        (("--seeds", "0"), "'0' is no whole number of at least 1"),
        (("--detectors", "nobody"), "invalid choice: 'nobody'"),
    ],
)
def test_what_cannot_be_done_is_said_at_once(arguments: tuple[str, ...], says: str) -> None:
    done = run(*arguments)

    assert done.returncode == 2
    assert says in done.stderr
    assert not done.stdout
