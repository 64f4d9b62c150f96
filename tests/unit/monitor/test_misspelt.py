"""Variables that look like settings are told; those of jobs are not."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from trimtab import job_settings
from trimtab_monitor.misspelt import misspelt


@pytest.mark.parametrize(
    ("name", "meant"),
    [
        ("TRIMTAB_LIVENESS_TICK_S", "did you mean TRIMTAB_LIVENESS__TICK_S?"),
        ("trimtab_server_port", "did you mean TRIMTAB_SERVER__PORT?"),
        ("TRIMTAB_SERVER_PROT", "did you mean TRIMTAB_SERVER__PORT?"),
        (
            "TRIMTAB_DETECTORS_LOSS_SPIKE_MIN_RISE",
            "did you mean TRIMTAB_DETECTORS__LOSS_SPIKE__MIN_RISE?",
        ),
        ("TRIMTAB_ENERGIE_PLACE", "did you mean TRIMTAB_ENERGY__PLACE?"),
        ("TRIMTAB_STORAGE_ZZZZZZZZZZZZ", "settings of storage begin with TRIMTAB_STORAGE__"),
    ],
)
def test_the_name_that_was_meant_is_told(name: str, meant: str) -> None:
    assert misspelt({"PATH": "/bin", name: "1"}) == [f"environment {name} sets nothing: {meant}"]


def test_settings_and_the_variables_of_jobs_are_not_told() -> None:
    of_jobs = re.findall(r'"(TRIMTAB_[A-Z_]+)"', Path(job_settings.__file__).read_text())
    assert "TRIMTAB_SPOOL_BYTES" in of_jobs
    assert misspelt(dict.fromkeys([*of_jobs, "TRIMTAB_SERVER__PORT", "TRIMTAB_ENERGY", "HOME"], "1")) == []
