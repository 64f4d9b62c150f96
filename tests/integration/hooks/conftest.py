"""A job's surroundings: a collector that records, and a folder of its own."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from trimtab.testing import RecordingCollector


@pytest.fixture
def collector() -> Iterator[RecordingCollector]:
    """A collector that remembers what it got."""
    with RecordingCollector().running() as running:
        yield running


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of the jobs of this test, with nothing else set."""
    for name in ("TRIMTAB_URL", "TRIMTAB_RUN", "TRIMTAB_ATTEMPT", "RANK", "WORLD_SIZE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("TRIMTAB_DIR", str(tmp_path / "home"))
    monkeypatch.setenv("TRIMTAB_SNAPSHOT_EVERY", "5")
    monkeypatch.setenv("TRIMTAB_SNAPSHOT_KEEP", "200")
    return tmp_path / "home"
