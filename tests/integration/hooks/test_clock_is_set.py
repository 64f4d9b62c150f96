"""A job in whose middle the machine's clock is set: all that it tells goes on in the time it began in."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

import trimtab
from trimtab.testing import RecordingCollector


def test_steps_events_and_readings_go_on_when_the_clock_is_set_by_an_hour(
    collector: RecordingCollector, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    zone = home / "powercap" / "intel-rapl:0"
    zone.mkdir(parents=True)
    for name, says in (
        ("name", "package-0"),
        ("energy_uj", "5000000"),
        ("max_energy_range_uj", "262143328850"),
    ):
        (zone / name).write_text(f"{says}\n")
    monkeypatch.setenv("TRIMTAB_POWERCAP", str(zone.parent))
    begun, wall = time.time(), time.time
    with trimtab.watch(project="test", url=collector.url) as watch:
        watch.step(loss=1.0, lr=0.1, grad_norm=1.0)
        monkeypatch.setattr(time, "time", lambda: wall() + 3600.0)
        for _ in range(3):
            watch.step(loss=1.0, lr=0.1, grad_norm=1.0)
        watch.record(accuracy=0.5)
        watch.checkpoint_saved("at.pt")
        watch.step(object(), odd="no number")  # is dropped and counted: by another thread
    batches = collector.batches()
    rows = [at for batch in batches for at in batch.time]
    events = [event["time"] for event in collector.events()]
    readings = [at for batch in batches for device in batch.devices for at in device.time]
    assert len(rows) >= 5
    assert {"run_end", "checkpoint_saved", "samples_dropped"} <= {
        event["kind"] for event in collector.events()
    }
    assert readings
    assert begun - 1 < min(rows + events + readings)
    assert max(rows + events + readings) < begun + 600
