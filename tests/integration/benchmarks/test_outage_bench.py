"""The benchmark of an outage, scaled down: a collector that is away for thousands of steps gets every one."""

from __future__ import annotations

import logging
from pathlib import Path

import pytest

import outage


@pytest.mark.parametrize(("steps", "metrics"), [(20_000, 3), (500, 1_000)])
def test_nothing_is_lost_once_the_collector_is_back(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    steps: int,
    metrics: int,
) -> None:
    monkeypatch.setenv("TRIMTAB_DIR", str(tmp_path))
    caplog.set_level(logging.ERROR, logger="trimtab")
    found = outage.measure(steps, 0.0, metrics)
    assert (found["lost"], found["doubled"]) == (0, 0)
    assert found["received"] == found["steps"] >= steps
