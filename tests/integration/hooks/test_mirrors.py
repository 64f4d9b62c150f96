"""A watched run mirrored to a real TensorBoard writer, and to one that hangs."""

from __future__ import annotations

import threading
from pathlib import Path
from typing import Any

import pytest
from torch.utils.tensorboard import SummaryWriter

import trimtab
from trimtab.testing import RecordingCollector
from trimtab_monitor.replay.columns import Columns
from trimtab_monitor.replay.readers import read_rows


@pytest.mark.usefixtures("home")
def test_a_tensorboard_writer_holds_what_the_collector_got(
    tmp_path: Path, collector: RecordingCollector
) -> None:
    writer: Any = SummaryWriter(str(tmp_path / "tb"))
    with trimtab.watch(project="mirrored", url=collector.url, also=writer) as watch:
        for step in range(1, 61):
            watch.step(loss=4.0 / step, lr=0.5, grad_norm=float("nan") if step == 30 else 1.0)
    writer.close()
    rows = list(read_rows(tmp_path / "tb", Columns(), print))
    assert [row.step for row in rows] == collector.rows() == list(range(1, 61))
    assert [row.values["loss"] for row in rows] == pytest.approx(collector.column("loss"))
    assert [row.values["lr"] for row in rows] == [0.5] * 60
    assert str(rows[29].values["grad_norm"]) == "nan"
    assert all(row.values["step_seconds"] >= 0 for row in rows[1:])


@pytest.mark.usefixtures("home")
def test_one_that_hangs_holds_up_neither_steps_nor_the_collector(collector: RecordingCollector) -> None:
    gate = threading.Event()
    with trimtab.watch(project="mirrored", url=collector.url, also=lambda *_: gate.wait(60)) as watch:
        for step in range(1, 61):
            watch.step(loss=float(step))
    assert collector.column("loss") == [float(step) for step in range(1, 61)]
    assert [event["status"] for event in collector.events("run_end")] == ["finished"]
    gate.set()


@pytest.mark.usefixtures("home")
def test_what_cannot_be_written_to_is_refused_before_training(collector: RecordingCollector) -> None:
    with pytest.raises(ValueError, match=r"also: builtins\.int: nothing can be written to it"):
        trimtab.watch(project="mirrored", url=collector.url, also=3)
