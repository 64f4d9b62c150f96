"""Carries out the collector's commands on the training state: go back to a snapshot, scale the learning rate.

Every command is written to a ledger on disk before it is acted on and again after, so that whoever reads it
after a crash knows what was being tried.
"""

from __future__ import annotations

import json
import logging
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from trimtab.rewind.snapshots import SnapshotError, Snapshots
from trimtab.vocabulary import Command

LOG = logging.getLogger("trimtab")


@dataclass(frozen=True, slots=True)
class Outcome:
    """What became of a command: carried out or refused; `to_step` is the step gone back to, if any."""

    applied: bool
    to_step: int | None
    detail: str


class Rewind:
    """Carries out `rollback` and `scale_lr` on what `snapshots` holds, with a ledger at `ledger_path`."""

    def __init__(self, snapshots: Snapshots, ledger_path: Path, clock: Callable[[], float]) -> None:
        self._snapshots = snapshots
        self._ledger_path = ledger_path
        self._clock = clock

    def apply(self, command: Command, step: int) -> Outcome:
        """Carry out a command after `step` good steps, or refuse it with the reason.

        Goes back to the very step asked for, else to the newest snapshot before it; with no step asked for,
        to the newest of all. A failed write of the ledger is told and does not stop the rollback.
        """
        to_step = choose(self._snapshots.steps(), command.to_step) if command.kind == "rollback" else None
        self._write("begin", command, step, to_step, "")
        try:
            outcome = self._act(command, to_step)
        except (RuntimeError, ValueError, MemoryError) as error:
            outcome = Outcome(False, None, str(error) or type(error).__name__)
        self._write(
            "applied" if outcome.applied else "refused", command, step, outcome.to_step, outcome.detail
        )
        return outcome

    def _act(self, command: Command, to_step: int | None) -> Outcome:
        if command.kind == "scale_lr":
            self._snapshots.scale_lr(command.lr_factor)
            return Outcome(True, None, f"learning rate times {command.lr_factor:g}")
        if command.kind != "rollback":
            raise ValueError(f"command {command.id}: {command.kind}: nothing here carries it out")
        if to_step is None:
            held = self._snapshots.steps()
            raise SnapshotError(
                f"step {command.to_step}: no snapshot of it or before it is held; held are {held}"
            )
        snapshot = self._snapshots.restore(to_step, command.lr_factor)
        slower = "" if command.lr_factor == 1 else f", learning rate times {command.lr_factor:g}"
        return Outcome(True, to_step, f"back to step {to_step} ({snapshot.id}){slower}")

    def _write(self, phase: str, command: Command, step: int, to_step: int | None, detail: str) -> None:
        entry = {
            "time": self._clock(),
            "phase": phase,
            "command": command.id,
            "kind": command.kind,
            "attempt": command.attempt,
            "from_step": step,
            "to_step": to_step,
            "asked_step": command.to_step,
            "lr_factor": command.lr_factor,
            "reason": command.reason,
            "detail": detail,
        }
        try:
            append_line(self._ledger_path, entry)
        except OSError as error:
            LOG.warning("trimtab: %s: the rollback ledger cannot be written: %s", self._ledger_path, error)


def choose(held: Sequence[int], to_step: int | None) -> int | None:
    """Return the newest step held at or before `to_step` (None: of all); None where there is none."""
    return max((step for step in held if to_step is None or step <= to_step), default=None)


def append_line(path: Path, entry: dict[str, Any]) -> None:
    """Append one JSON line to a file and wait until it is on the disk.

    Raises:
        OSError: the file cannot be written.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    line = (json.dumps(entry) + "\n").encode()
    descriptor = os.open(path, os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o644)
    try:
        os.write(descriptor, line)
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
