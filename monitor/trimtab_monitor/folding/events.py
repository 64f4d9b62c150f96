"""What a job tells besides numbers, read from the dicts of the wire.

What a job need not say has a default, so that the least that names an event is enough (docs/wire.md). The
intake refuses one of a known kind that cannot be read; what got past it, out of a dead process's spool, is
told apart as `Unreadable`, and a kind that nobody here knows as `Unknown`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, Final, Literal

import msgspec

from trimtab import wire

PROCESS_DIED: Final = "process_died"
MOST_NAME_CHARACTERS: Final = 256
Count = Annotated[int, msgspec.Meta(ge=0, le=2**31 - 1)]
Attempt = Annotated[int, msgspec.Meta(ge=0, le=wire.MAX_ATTEMPT)]
Step = Annotated[int, msgspec.Meta(ge=wire.INT64_MIN, le=wire.INT64_MAX)]


class _Event(msgspec.Struct, frozen=True, kw_only=True):
    """What every event has: `time` is Unix seconds of the job's clock, `step` the last step done."""

    time: float
    step: int | None = None


class RunStart(_Event, frozen=True, kw_only=True):
    """A process of the run began. `rollback` is what its owner allows."""

    rollback: Literal["off", "advise", "auto"] = "off"
    boot_id: str | None = None


class RunEnd(_Event, frozen=True, kw_only=True):
    """A process of the run ended."""

    status: Literal["finished", "failed"] = "finished"
    reason: str | None = None


class Phase(_Event, frozen=True, kw_only=True):
    """The run went over to training, evaluation or saving a checkpoint."""

    phase: str


class CheckpointSaved(_Event, frozen=True, kw_only=True):
    """A state to which the run can go back. `every` is the steps between two of its kind.

    One of which nobody says whether it is finite may be gone back to.
    """

    step: int
    checkpoint: str | None = None
    where: Literal["memory", "disk"] = "disk"
    finite: bool | None = None
    every: int | None = None
    path: str | None = None

    @property
    def id(self) -> str:
        """What it is called; after its step where the job gave it no name."""
        return f"step-{self.step}" if self.checkpoint is None else self.checkpoint


class CommandApplied(_Event, frozen=True, kw_only=True):
    """The job's answer to a command. A rollback without `to_step` went where the command said."""

    command: str
    outcome: Literal["applied", "refused"] = "applied"
    to_step: Step | None = None
    from_step: int | None = None
    new_attempt: Attempt | None = None
    detail: str | None = None


class SamplesDropped(_Event, frozen=True, kw_only=True):
    """The job had to drop samples."""

    count: Count
    reason: str | None = None


class HookError(_Event, frozen=True, kw_only=True):
    """Something went wrong in the hooks, and the job went on."""

    where: str | None = None
    error: str | None = None
    count: Count = 1


class DeviceFault(_Event, frozen=True, kw_only=True):
    """A device's driver told of trouble: an XID, or so many new errors of memory that were not corrected."""

    uuid: Annotated[str, msgspec.Meta(max_length=MOST_NAME_CHARACTERS)]
    device: str | None = None
    host: str | None = None
    xid: Count | None = None
    ecc_uncorrected_errors: Count | None = None


class ProcessDied(_Event, frozen=True, kw_only=True):
    """A process of the run is gone and never said that it ended; `time` is its last sign of life."""

    pid: int | None = None
    host: str | None = None


@dataclass(frozen=True, slots=True)
class Unknown:
    """An event of a kind that is kept, and means nothing here."""


@dataclass(frozen=True, slots=True)
class Unreadable:
    """An event that lacks what its kind must have, and why."""

    why: str


Event = (
    RunStart
    | RunEnd
    | Phase
    | CheckpointSaved
    | CommandApplied
    | SamplesDropped
    | HookError
    | DeviceFault
    | ProcessDied
    | Unknown
    | Unreadable
)

KINDS: Final[Mapping[str, type[_Event]]] = {
    wire.RUN_START: RunStart,
    wire.RUN_END: RunEnd,
    wire.PHASE: Phase,
    wire.CHECKPOINT_SAVED: CheckpointSaved,
    wire.COMMAND_APPLIED: CommandApplied,
    wire.SAMPLES_DROPPED: SamplesDropped,
    wire.HOOK_ERROR: HookError,
    wire.DEVICE_FAULT: DeviceFault,
    PROCESS_DIED: ProcessDied,
}


def read_event(raw: Mapping[str, Any]) -> Event:
    """Read one event of a batch."""
    kind = KINDS.get(raw["kind"])
    if kind is None:
        return Unknown()
    try:
        event: Event = msgspec.convert(raw, type=kind, strict=True)  # type: ignore[assignment]
    except msgspec.ValidationError as error:
        return Unreadable(f"{raw['kind']}: {error}")
    return event
