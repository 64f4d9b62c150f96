"""Importing what runs in a job imports neither torch nor numpy: both are the job's own business."""

from __future__ import annotations

import subprocess
import sys

import pytest


@pytest.mark.parametrize(
    "module",
    [
        "capture.optimizer",
        "capture.deferred",
        "rewind.snapshots",
        "rewind.rewind",
        "rewind.rng",
        "rewind.learning_rate",
        "sensors.sampler",
        "relay",
        "outbound.mirrors",
        "outbound.mirror_targets",
        "integrations.logging",
        "sensors",
        "sensors.readings",
    ],
)
def test_a_module_of_the_job_is_light(module: str) -> None:
    code = f"import sys, trimtab.{module}; print(sorted({{'torch', 'numpy', 'pynvml'}} & set(sys.modules)))"
    done = subprocess.run(
        [sys.executable, "-c", code], check=True, capture_output=True, text=True, timeout=60
    )
    assert done.stdout.strip() == "[]"
