"""The arguments of `trimtab.watch()`, checked before training starts."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from trimtab.capture.optimizer import NullCapture, OptimizerCapture
from trimtab.capture.step_values import Capture
from trimtab.guard import Guard
from trimtab.identity import Place
from trimtab.job_settings import JobSettings
from trimtab.plain_values import plain
from trimtab.rewind.commands import MODES, Mode
from trimtab.rewind.health import count_parameters
from trimtab.rewind.snapshots import NullSnapshots, Snapshots, SnapshotStore


@dataclass(frozen=True, slots=True)
class Watched:
    """The live objects of a run; model, optimizer and scheduler are None, one object or a list each."""

    model: Any
    optimizer: Any
    scheduler: Any
    scaler: Any

    @property
    def identities(self) -> tuple[Any, ...]:
        """What no other watch may have at the same time."""
        return (self.model, self.optimizer)

    @property
    def empty(self) -> bool:
        """Whether there is nothing to capture from and nothing to go back with."""
        return self.model is None and self.optimizer is None

    def capture(self, guard: Guard) -> Capture:
        """Return what reads gradient norm and learning rate."""
        if self.optimizer is None:
            return NullCapture()
        return OptimizerCapture(self.optimizer, self.scaler, guard.caught)

    def snapshots(self, mode: Mode, settings: JobSettings, place: Place) -> Snapshots:
        """Return the store of snapshots to go back to; ranks that act together must hold the same steps."""
        if mode == "off" or self.empty:
            return NullSnapshots()
        return SnapshotStore(
            self.model,
            self.optimizer,
            self.scheduler,
            self.scaler,
            every=settings.snapshot_every,
            keep=settings.snapshot_keep,
            stretch=place.world_size == 1,
        )


@dataclass(frozen=True, slots=True)
class Asked:
    """What describes the run and how it is to be watched.

    Raises:
        ValueError: a value is not what it must be; the message names it and says what to give.
    """

    project: str
    name: str | None
    rollback: Mode
    total_steps: int | None
    tokens_per_step: float | None
    config: Any
    watched: Watched

    def __post_init__(self) -> None:
        if not isinstance(self.project, str) or not self.project.strip():
            raise ValueError(f"project: {self.project!r}: give a name that is not empty, such as 'gpt'")
        if self.name is not None and not isinstance(self.name, str):
            raise ValueError(f"name: {self.name!r}: give a string, or None")
        if self.rollback not in MODES:
            raise ValueError(f"rollback: {self.rollback!r}: use one of {', '.join(map(repr, MODES))}")
        if self.rollback == "auto" and self.watched.empty:
            raise ValueError("rollback: 'auto': there is nothing to go back with: pass model and optimizer")
        _check_positive("total_steps", self.total_steps, int)
        _check_positive("tokens_per_step", self.tokens_per_step, int | float)

    def registration(self, place: Place) -> dict[str, Any]:
        """Return the body with which the run is registered; what is not known is left out."""
        model = self.watched.model
        body = {
            "project": self.project,
            "name": self.name,
            "world_size": place.world_size,
            "total_steps": self.total_steps,
            "tokens_per_step": self.tokens_per_step,
            "parameters": count_parameters(model) if model is not None else None,
            "config": plain(self.config) if self.config is not None else None,
        }
        return {key: value for key, value in body.items() if value is not None}


def _check_positive(name: str, value: Any, kind: Any) -> None:
    if value is None:
        return
    if isinstance(value, bool) or not isinstance(value, kind) or not 0 < value < float("inf"):
        raise ValueError(f"{name}: {value!r}: give a number above 0, or None where it is not known")
