"""The examples of launchers and their loops run as they are, and every rank is watched to its last step."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from trimtab.testing import RecordingCollector

EXAMPLES = Path(__file__).parents[3] / "examples"
TORCHRUN = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node=2"]


@pytest.mark.parametrize(
    ("name", "launcher", "steps"),
    [("torchrun_ddp", TORCHRUN, 200), ("accelerate_loop", [], 200), ("keras_fit", [], 348)],
)
def test_an_example_is_watched_on_all_its_ranks(
    name: str, launcher: list[str], steps: int, tmp_path: Path
) -> None:
    with RecordingCollector().running() as collector:
        told = {"TRIMTAB_URL": collector.url, "TRIMTAB_DIR": str(tmp_path / "trimtab")}
        subprocess.run(
            [sys.executable, *launcher, EXAMPLES / f"{name}.py"],
            cwd=tmp_path,
            env={**os.environ, **told, "OMP_NUM_THREADS": "1"},
            check=True,
            capture_output=True,
            timeout=120,
        )
    (registration,) = collector.registrations.values()
    ranks = range(registration["world_size"])
    assert (len(ranks), registration["total_steps"]) == (2 if launcher else 1, steps)
    assert [sorted(set(collector.rows(rank=rank))) for rank in ranks] == [list(range(1, steps + 1))] * len(
        ranks
    )
    assert [event["status"] for event in collector.events("run_end")] == ["finished"] * len(ranks)
