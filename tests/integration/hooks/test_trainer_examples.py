"""The examples with trainers run as they are, and what they train is watched."""

from __future__ import annotations

import math
import os
import subprocess
import sys
from pathlib import Path

import pytest

from trimtab.testing import RecordingCollector

EXAMPLES = Path(__file__).parents[3] / "examples"


@pytest.mark.parametrize("name", ["lightning_trainer", "transformers_trainer"])
def test_an_example_is_watched_from_its_first_step_to_its_last(name: str, tmp_path: Path) -> None:
    with RecordingCollector().running() as collector:
        subprocess.run(
            [sys.executable, EXAMPLES / f"{name}.py"],
            cwd=tmp_path,
            env={
                **os.environ,
                "TRIMTAB_URL": collector.url,
                "TRIMTAB_DIR": str(tmp_path / "trimtab"),
                "OMP_NUM_THREADS": "1",
            },
            check=True,
            capture_output=True,
            timeout=120,
        )
    (registration,) = collector.registrations.values()
    assert (registration["project"], registration["total_steps"]) == ("examples", 100)
    assert sorted(set(collector.rows())) == list(range(1, 101))
    losses = [loss for loss in collector.column("loss") if math.isfinite(loss)]
    assert len(losses) == 100
    assert losses[-1] < losses[0]
    assert len([loss for loss in collector.column("eval_loss") if math.isfinite(loss)]) == 4
    assert [event["status"] for event in collector.events("run_end")] == ["finished"]
