"""The example does all of its steps, those that a rollback took back included."""

from __future__ import annotations

import importlib.util
import time
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from trimtab.testing import RecordingCollector
from trimtab.vocabulary import Command

EXAMPLE = Path(__file__).parents[3] / "examples" / "plain_loop.py"


def example() -> ModuleType:
    spec = importlib.util.spec_from_file_location("plain_loop", EXAMPLE)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_the_plain_loop_goes_on_to_its_last_step_after_a_rollback(
    collector: RecordingCollector, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("TRIMTAB_URL", collector.url)
    monkeypatch.setenv("TRIMTAB_SNAPSHOT_EVERY", "50")
    loop = example()
    batch_of = loop.batch_of

    def from_a_slow_disk(step: int) -> Any:
        if step == 100:
            command = Command(id="c1", kind="rollback", to_step=50, lr_factor=1.0, reason="spike")
            collector.commands = [command]
        if step >= 100 and not collector.events("command_applied"):
            time.sleep(0.02)
        return batch_of(step)

    monkeypatch.setattr(loop, "batch_of", from_a_slow_disk)
    loop.main()
    (applied,) = collector.events("command_applied")
    assert (applied["outcome"], applied["to_step"]) == ("applied", 50)
    assert collector.rows(attempt=1) == list(range(51, loop.STEPS + 1))
