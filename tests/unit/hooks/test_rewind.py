"""Commands are carried out or refused with the reason, and written down before and after."""

from __future__ import annotations

import json
import time
from pathlib import Path
from typing import Any, Literal

import pytest

from trimtab.rewind.rewind import Outcome, Rewind, choose
from trimtab.rewind.snapshots import Snapshot, SnapshotError
from trimtab.vocabulary import Command


class Held:
    """A store that keeps note of what it is asked for."""

    every = 10

    def __init__(self, *steps: int, error: Exception | None = None) -> None:
        self._steps = list(steps)
        self._error = error
        self.asked: list[tuple[str, Any, float]] = []

    def maybe_take(self, step: int) -> None:
        raise AssertionError(f"nothing asks for a snapshot of {step} here")

    def steps(self) -> list[int]:
        return self._steps

    def restore(self, step: int, lr_factor: float = 1.0) -> Snapshot:
        self.asked.append(("restore", step, lr_factor))
        if self._error:
            raise self._error
        return Snapshot(f"memory-{step}-1", step, finite=True, seconds=0.0, size_bytes=0)

    def drop_after(self, step: int) -> None:
        raise AssertionError(f"restore drops what is later than {step} itself")

    def scale_lr(self, factor: float) -> None:
        self.asked.append(("scale_lr", None, factor))
        if self._error:
            raise self._error


def rollback(to_step: int | None, lr_factor: float = 1.0) -> Command:
    return Command(
        id="c7", kind="rollback", attempt=2, to_step=to_step, lr_factor=lr_factor, reason="loss spike"
    )


def entries(path: Path) -> list[dict[str, Any]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


@pytest.fixture
def ledger(tmp_path: Path) -> Path:
    return tmp_path / "spool" / "rollbacks.jsonl"


@pytest.mark.parametrize(
    ("held", "to_step", "chosen"),
    [
        ([10, 20, 30], 20, 20),
        ([10, 20, 30], 29, 20),
        ([10, 20, 30], 99, 30),
        ([10, 20, 30], 9, None),
        ([10, 20, 30], None, 30),
        ([], None, None),
    ],
)
def test_the_newest_snapshot_not_after_the_step_is_chosen(
    held: list[int], to_step: int | None, chosen: int | None
) -> None:
    assert choose(held, to_step) == chosen


def test_a_rollback_restores_with_the_factor_asked_for(ledger: Path) -> None:
    held = Held(10, 20)
    outcome = Rewind(held, ledger, time.time).apply(rollback(25, lr_factor=0.5), step=31)
    assert outcome == Outcome(True, 20, "back to step 20 (memory-20-1), learning rate times 0.5")
    assert held.asked == [("restore", 20, 0.5)]


def test_the_ledger_says_what_was_tried_before_it_is_tried(ledger: Path) -> None:
    class Looking(Held):
        def restore(self, step: int, lr_factor: float = 1.0) -> Snapshot:
            self.seen = entries(ledger)
            return super().restore(step, lr_factor)

    held = Looking(10, 20)
    Rewind(held, ledger, lambda: 1700.5).apply(rollback(25, lr_factor=0.5), step=31)
    begin = {
        "time": 1700.5,
        "phase": "begin",
        "command": "c7",
        "kind": "rollback",
        "attempt": 2,
        "from_step": 31,
        "to_step": 20,
        "asked_step": 25,
        "lr_factor": 0.5,
        "reason": "loss spike",
        "detail": "",
    }
    assert held.seen == [begin]
    detail = "back to step 20 (memory-20-1), learning rate times 0.5"
    assert entries(ledger) == [begin, {**begin, "phase": "applied", "detail": detail}]


def test_without_a_snapshot_early_enough_it_is_refused(ledger: Path) -> None:
    held = Held(10, 20)
    outcome = Rewind(held, ledger, time.time).apply(rollback(5), step=31)
    assert outcome == Outcome(
        False, None, "step 5: no snapshot of it or before it is held; held are [10, 20]"
    )
    assert held.asked == []
    assert [entry["phase"] for entry in entries(ledger)] == ["begin", "refused"]


@pytest.mark.parametrize(
    "error", [SnapshotError("it does not fit"), RuntimeError("out of memory"), MemoryError()]
)
def test_a_restore_that_fails_is_refused_with_its_reason(ledger: Path, error: Exception) -> None:
    outcome = Rewind(Held(10, error=error), ledger, time.time).apply(rollback(10), step=31)
    assert outcome == Outcome(False, None, str(error) or "MemoryError")


def test_a_rate_is_scaled_without_going_back(ledger: Path) -> None:
    held = Held(10)
    outcome = Rewind(held, ledger, time.time).apply(Command(id="c8", kind="scale_lr", lr_factor=0.1), step=31)
    assert outcome == Outcome(True, None, "learning rate times 0.1")
    assert held.asked == [("scale_lr", None, 0.1)]


def test_a_factor_that_is_none_is_refused(ledger: Path) -> None:
    held = Held(10, error=ValueError("lr_factor: -1: give a finite number above 0"))
    outcome = Rewind(held, ledger, time.time).apply(Command(id="c8", kind="scale_lr", lr_factor=-1), step=31)
    assert outcome == Outcome(False, None, "lr_factor: -1: give a finite number above 0")


def test_a_kind_that_is_not_for_the_training_state_is_refused(ledger: Path) -> None:
    kind: Literal["stop"] = "stop"
    outcome = Rewind(Held(10), ledger, time.time).apply(Command(id="c9", kind=kind), step=31)
    assert outcome == Outcome(False, None, "command c9: stop: nothing here carries it out")


def test_a_ledger_that_cannot_be_written_is_told_and_does_not_stop_the_rollback(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "spool").write_text("a file where a folder should be")
    held = Held(10)
    outcome = Rewind(held, tmp_path / "spool" / "rollbacks.jsonl", time.time).apply(rollback(10), step=31)
    assert outcome.applied
    assert "the rollback ledger cannot be written" in caplog.text
