"""The arguments of `trimtab.watch()`, checked before training starts."""

from __future__ import annotations

import math
import operator
from dataclasses import dataclass, field
from typing import Any, Final, Literal, get_args

from trimtab.budget import Budget
from trimtab.capture.instruments import Emit, Instruments, Subject, instruments
from trimtab.capture.one_or_many import as_list
from trimtab.capture.optimizer import NullCapture, OptimizerCapture, unwrapped
from trimtab.capture.own_time import OwnTime, own_time
from trimtab.capture.step_values import Capture
from trimtab.guard import Guard
from trimtab.identity import Place
from trimtab.job_settings import JobSettings
from trimtab.outbound.mirror_targets import Target
from trimtab.plain_values import plain_config
from trimtab.rewind.commands import MODES, Mode
from trimtab.rewind.health import count_parameters
from trimtab.rewind.snapshots import NullSnapshots, Snapshots, SnapshotStore
from trimtab.signals import Signals

MAX_NAME_CHARACTERS: Final = 200
TrainingPhase = Literal["pretraining", "post-training", "test-time"]
_PHASES: Final[tuple[str, ...]] = get_args(TrainingPhase)
_LARGEST_COUNT: Final = 2**63 - 1
_NEEDS: Final = {
    "model": ("parameters", "state_dict"),
    "optimizer": ("param_groups", "state_dict"),
    "scheduler": ("state_dict",),
    "scaler": ("state_dict", "get_scale"),
}
"""What each object must have; a model has no `param_groups` and an optimizer no `parameters`."""


@dataclass(frozen=True, slots=True)
class Watched:
    """The live objects of a run; model, optimizer and scheduler are None, one object or a list each.

    Raises:
        ValueError: one is not what its name says, as where model and optimizer are swapped.
    """

    model: Any
    optimizer: Any
    scheduler: Any
    scaler: Any

    def __post_init__(self) -> None:
        for name, needed in _NEEDS.items():
            given = getattr(self, name)
            for item in [given] if name == "scaler" and given is not None else as_list(given):
                _check_has(name, item, needed)

    @property
    def identities(self) -> tuple[Any, ...]:
        """What no other watch may have at the same time; of an optimizer in a wrapper the real one."""
        return (*as_list(self.model), *map(unwrapped, as_list(self.optimizer)))

    @property
    def empty(self) -> bool:
        """Whether there is nothing to capture from and nothing to go back with."""
        return not self.identities

    def capture(self, guard: Guard, signals: Signals, masks: bool) -> Capture:
        """Return what reads gradients and learning rate, and masks steps if it is to."""
        if self.optimizer is None:
            return NullCapture()
        return OptimizerCapture(self.optimizer, self.scaler, guard.caught, self.model, signals, masks)

    def own_time(self, place: Place, guard: Guard) -> OwnTime:
        """Return what measures how long this rank works on a step by itself."""
        return own_time(self.model, self.optimizer, place.world_size, guard.caught)

    def instruments(self, signals: Signals, guard: Guard, emit: Emit) -> Instruments:
        """Return what measures the optional signals; `emit` takes what they measure."""
        optimizers = [unwrapped(each) for each in as_list(self.optimizer)]
        subject = Subject(as_list(self.model), optimizers, signals, self.optimizer)
        return instruments(subject, emit, guard.caught)

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
    signals: Signals = field(default_factory=Signals)
    masks_non_finite: bool = False
    mirrors: tuple[Target, ...] = ()
    budget: Budget | None = None
    phase: TrainingPhase | None = None

    def __post_init__(self) -> None:
        _check_text("project", self.project, "such as 'gpt'")
        if self.name is not None:
            _check_text("name", self.name, "or None")
        if self.rollback not in MODES:
            raise ValueError(f"rollback: {self.rollback!r}: use one of {', '.join(map(repr, MODES))}")
        if self.rollback == "auto" and self.watched.empty:
            raise ValueError("rollback: 'auto': there is nothing to go back with: pass model and optimizer")
        if not isinstance(self.signals, Signals):
            raise ValueError(f"signals: {self.signals!r}: give trimtab.Signals(...), or None")
        if not isinstance(self.masks_non_finite, bool):
            raise ValueError(f"mask_non_finite: {self.masks_non_finite!r}: give True, False or None")
        if self.budget is not None and not isinstance(self.budget, Budget):
            raise ValueError(f"budget: {self.budget!r}: give trimtab.Budget(...), or None")
        if self.phase is not None and self.phase not in _PHASES:
            raise ValueError(f"phase: {self.phase!r}: use one of {', '.join(map(repr, _PHASES))}, or None")
        object.__setattr__(self, "total_steps", _count("total_steps", self.total_steps))
        object.__setattr__(self, "tokens_per_step", _amount("tokens_per_step", self.tokens_per_step))

    @property
    def stops_at_budget(self) -> bool:
        """Whether the owner lets the collector stop the job once its budget is used up."""
        return self.budget is not None and self.budget.stop

    def registration(self, place: Place) -> dict[str, Any]:
        """Return the body with which the run is registered; what is not known is left out."""
        model, tokens = self.watched.model, self.tokens_per_step
        body = {
            "project": self.project,
            "name": self.name,
            "world_size": place.world_size,
            "total_steps": self.total_steps,
            "tokens_per_step": max(1, round(tokens)) if tokens is not None else None,
            "parameters": count_parameters(model) if model is not None else None,
            "phase": self.phase,
            "budget": None if self.budget is None else self.budget.as_json(),
            "config": plain_config(self.config) if self.config is not None else None,
        }
        return {key: value for key, value in body.items() if value is not None}


def _check_has(name: str, item: Any, needed: tuple[str, ...]) -> None:
    lacking = [attribute for attribute in needed if not hasattr(item, attribute)]
    if lacking:
        what = f"{type(item).__module__}.{type(item).__qualname__}"
        raise ValueError(
            f"{name}: an object of {what}, which has no {' and no '.join(lacking)}: give the {name}, or None"
        )


def _check_text(name: str, value: Any, remedy: str) -> None:
    if not isinstance(value, str) or (name == "project" and not value.strip()):
        raise ValueError(f"{name}: {value!r}: give a string that is not empty, {remedy}")
    if len(value) > MAX_NAME_CHARACTERS:
        raise ValueError(
            f"{name}: {value[:40]!r}... of {len(value)} characters: give {MAX_NAME_CHARACTERS} or fewer"
        )
    try:
        value.encode()
    except UnicodeEncodeError:
        raise ValueError(f"{name}: {value!r}: give text that UTF-8 can hold, {remedy}") from None


def _count(name: str, value: Any) -> int | None:
    """Return a count given as any kind of integer, or as a float that is whole, such as `1e6`."""
    if value is None:
        return None
    try:
        count = int(value) if isinstance(value, float) and value.is_integer() else operator.index(value)
    except TypeError:
        count = 0
    if isinstance(value, bool) or not 0 < count <= _LARGEST_COUNT:
        raise ValueError(f"{name}: {value!r}: give a whole number above 0, or None where it is not known")
    return count


def _amount(name: str, value: Any) -> float | None:
    """Return a number above 0 given as any kind of real number; an int stays one."""
    if value is None or (isinstance(value, int) and not isinstance(value, bool) and 0 < value < 2**63):
        return value
    try:
        amount = math.nan if isinstance(value, bool | str | bytes) else float(value)
    except (TypeError, ValueError, OverflowError):
        amount = math.nan
    if not 0 < amount < float(_LARGEST_COUNT):
        raise ValueError(f"{name}: {value!r}: give a number above 0, or None where it is not known")
    return amount
