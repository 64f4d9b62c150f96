"""What travels between a training job and the collector: its names and its values.

The encodings are in `trimtab.wire`, which offers all of this too: import from there.
"""

from __future__ import annotations

import struct
from array import array
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Literal

import msgspec

MSGPACK: Final = "application/msgpack"
JSON: Final = "application/json"

# Standard metric names. Any other name is kept and charted.
LOSS: Final = "loss"
GRAD_NORM: Final = "grad_norm"
LR: Final = "lr"
EVAL_LOSS: Final = "eval_loss"
TOKENS: Final = "tokens"
STEP_SECONDS: Final = "step_seconds"
OWN_SECONDS: Final = "own_seconds"
"""A step without the wait for other ranks: `step_seconds` of ranks that train together are all the same."""
PARAM_NORM: Final = "param_norm"
LOSS_SCALE: Final = "loss_scale"
GRAD_NORM_SQ_SHARD: Final = "grad_norm_sq_shard"
STEP_MASKED: Final = "step_masked"
"""1 where the optimizer left out a step whose gradients were not finite, 0 where it took it."""
PARAM_NORM_SQ_SHARD: Final = "param_norm_sq_shard"

# Kinds of event. Others are kept.
RUN_START: Final = "run_start"
RUN_END: Final = "run_end"
PHASE: Final = "phase"
CHECKPOINT_SAVED: Final = "checkpoint_saved"
COMMAND_APPLIED: Final = "command_applied"
SAMPLES_DROPPED: Final = "samples_dropped"
HOOK_ERROR: Final = "hook_error"
DEVICE_FAULT: Final = "device_fault"

_NOT_MEASURED_BYTES: Final = struct.pack("<Q", 0x7FF80000000054AB)
NOT_MEASURED: Final[float] = struct.unpack("<d", _NOT_MEASURED_BYTES)[0]
"""The quiet NaN that stands for "not measured at this row"; every other NaN is a measured NaN."""

NO_COUNTER: Final = -1
"""Stands for null in the int64 column of an energy counter, which is never negative."""

MAX_ATTEMPT: Final = 2**31 - 1
"""A run that began again a thousand times a second would not come to it in weeks: more is a mistake."""

INT64_MIN: Final = -(2**63)
INT64_MAX: Final = 2**63 - 1

Component = Literal["gpu", "package", "dram", "module", "host"]
COMPONENTS: Final[frozenset[str]] = frozenset(("gpu", "package", "dram", "module", "host"))

DEVICE_FLOAT_COLUMNS: Final = ("power_w", "util", "mem_used_bytes", "temp_c", "used_share", "held_share")
DEVICE_POWER_FACTS: Final = ("power_limit_w", "power_window_s", "power_update_s")


class WireError(ValueError):
    """A batch that breaks the contract; names the field, the value as it was given, and the remedy."""

    def __init__(self, field: str, value: object, remedy: str) -> None:
        shown = _as_given(value)
        self.field = field
        self.value = shown if len(shown) <= 80 else shown[:77] + "..."
        self.remedy = remedy
        super().__init__(f"{field}: {self.value}: {remedy}")


def _as_given(value: object) -> str:
    """A value in the words of JSON, whatever it is; text is itself, and bytes the text in them."""
    if isinstance(value, str):
        return value
    if isinstance(value, bytes):
        return value.decode("utf-8", "replace")
    try:
        return msgspec.json.encode(value, enc_hook=repr).decode()
    except (ValueError, TypeError, OverflowError, RecursionError, UnicodeEncodeError):
        return repr(value)


def is_measured(value: float) -> bool:
    """Tell a measured value (a measured NaN too) from the "not measured" NaN."""
    return value == value or struct.pack("<d", value) != _NOT_MEASURED_BYTES


@dataclass(frozen=True, slots=True)
class Device:
    """Raw readings of one device, one row a reading; the arithmetic of wraps and gaps is the ledger's.

    `time` is Unix seconds, `power_w` watts, `util` 0 to 1, `mem_used_bytes` bytes, `temp_c` degrees Celsius:
    each n rows or None, `NOT_MEASURED` where a row lacks it. `energy_counter` counts `counter_unit_j` joules
    each, is `NO_COUNTER` where a row lacks it, and wraps at `counter_range` counts (None: never). `method`
    says how the energy is known: counter, power_average, power_instant, model, constant.

    Of a device that several jobs share, `used_share` is this job's part of its activity since the reading
    before, and `held_share` the part of it that is allotted to this job, both 0 to 1 (None: all of it is this
    job's, as far as it knows). `power_limit_w` is the most that it may draw; a power reading is the mean over
    the last `power_window_s` seconds and renewed every `power_update_s` (None: not known). `gauges` holds
    what else was read, by name with the unit in it, such as `sm_clock_mhz`.
    """

    host: str
    boot_id: str
    uuid: str
    component: Component
    name: str
    method: str
    time: array[float]
    power_w: array[float] | None = None
    energy_counter: array[int] | None = None
    counter_unit_j: float | None = None
    counter_range: int | None = None
    util: array[float] | None = None
    mem_used_bytes: array[float] | None = None
    temp_c: array[float] | None = None
    used_share: array[float] | None = None
    held_share: array[float] | None = None
    power_limit_w: float | None = None
    power_window_s: float | None = None
    power_update_s: float | None = None
    gauges: Mapping[str, array[float]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Batch:
    """Rows of one rank. (run, attempt, rank, seq) is its identity: sent twice, counted once.

    `step` is an int64 column, `time` Unix seconds, every metric a float64 column, all of the same length;
    `events` are dicts with at least `kind`, `step` (or None) and `time`.
    """

    rank: int
    seq: int
    attempt: int = 0
    step: array[int] = field(default_factory=lambda: array("q"))
    time: array[float] = field(default_factory=lambda: array("d"))
    metrics: Mapping[str, array[float]] = field(default_factory=dict)
    devices: Sequence[Device] = ()
    events: Sequence[Mapping[str, Any]] = ()

    @property
    def rows(self) -> int:
        """How many steps the batch holds."""
        return len(self.step)


class Command(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=False):
    """What the collector asks of a job: data, never code; obeyed only where the owner enabled it.

    `attempt` is the attempt that it was decided on: a job that has moved on ignores it. `state` is pending,
    advised (shown to people, never sent to a job), applied, refused or expired. `budget` names the budget of
    the run's owner that a stop comes of (kwh, kg, cost), none of any other command.
    """

    id: str
    kind: Literal["rollback", "scale_lr", "stop"]
    attempt: int = 0
    to_step: int | None = None
    lr_factor: float = 1.0
    reason: str = ""
    incident: str | None = None
    budget: str | None = None
    state: Literal["pending", "advised", "applied", "refused", "expired"] = "pending"
    time: float = 0.0


class Ack(msgspec.Struct, frozen=True):
    """The answer to a batch: it is durable, and these commands wait for the job."""

    ack: int
    commands: list[Command] = msgspec.field(default_factory=list)
