"""The one vocabulary between a training job and the collector, in two encodings.

A `Batch` is columnar: one row a step, one column a metric. It travels as MessagePack (columns are the raw
little-endian bytes; what the hooks send) or as JSON (for people and other languages). Both are exact for NaN,
the infinities, "not measured" and 64-bit steps, and decode to the same value.

In memory a column is an `array.array`: no numpy in the job, and numpy reads it without a copy.
"""

from __future__ import annotations

import math
import struct
import sys
from array import array
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Final, Literal, cast

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
PARAM_NORM: Final = "param_norm"
LOSS_SCALE: Final = "loss_scale"
GRAD_NORM_SQ_SHARD: Final = "grad_norm_sq_shard"

# Kinds of event. Others are kept.
RUN_START: Final = "run_start"
RUN_END: Final = "run_end"
PHASE: Final = "phase"
CHECKPOINT_SAVED: Final = "checkpoint_saved"
COMMAND_APPLIED: Final = "command_applied"
SAMPLES_DROPPED: Final = "samples_dropped"
HOOK_ERROR: Final = "hook_error"

_NOT_MEASURED_BYTES: Final = struct.pack("<Q", 0x7FF80000000054AB)
NOT_MEASURED: Final[float] = struct.unpack("<d", _NOT_MEASURED_BYTES)[0]
"""The quiet NaN that stands for "not measured at this row"; every other NaN is a measured NaN."""

NO_COUNTER: Final = -1
"""Stands for null in the int64 column of an energy counter, which is never negative."""

INT64_MIN: Final = -(2**63)
INT64_MAX: Final = 2**63 - 1

Component = Literal["gpu", "package", "dram", "module", "host"]
COMPONENTS: Final[frozenset[str]] = frozenset(("gpu", "package", "dram", "module", "host"))

DEVICE_FLOAT_COLUMNS: Final = ("power_w", "util", "mem_used_bytes", "temp_c")


class WireError(ValueError):
    """A batch that breaks the contract; names the field, the value given and the remedy."""

    def __init__(self, field: str, value: object, remedy: str) -> None:
        shown = repr(value)
        self.field = field
        self.value = shown if len(shown) <= 80 else shown[:77] + "..."
        self.remedy = remedy
        super().__init__(f"{field}: {self.value}: {remedy}")


def is_measured(value: float) -> bool:
    """Tell a measured value (a measured NaN too) from the "not measured" NaN."""
    return value == value or struct.pack("<d", value) != _NOT_MEASURED_BYTES


@dataclass(frozen=True, slots=True)
class Device:
    """Raw readings of one device, one row a reading; the arithmetic of wraps and gaps is the ledger's.

    `time` is Unix seconds, `power_w` watts, `util` 0 to 1, `mem_used_bytes` bytes, `temp_c` degrees Celsius: each
    n rows or None, `NOT_MEASURED` where a row lacks it. `energy_counter` counts `counter_unit_j` joules each, is
    `NO_COUNTER` where a row lacks it, and wraps at `counter_range` counts (None: never). `method` says how the
    energy is known: counter, power_average, power_instant, model, constant.
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

    `attempt` is the attempt that it was decided on: a job that has moved on ignores it. `state` is pending, advised
    (shown to people, never sent to a job), applied, refused or expired.
    """

    id: str
    kind: Literal["rollback", "scale_lr", "stop"]
    attempt: int = 0
    to_step: int | None = None
    lr_factor: float = 1.0
    reason: str = ""
    incident: str | None = None
    state: Literal["pending", "advised", "applied", "refused", "expired"] = "pending"
    time: float = 0.0


class Ack(msgspec.Struct, frozen=True):
    """The answer to a batch: it is durable, and these commands wait for the job."""

    ack: int
    commands: list[Command] = msgspec.field(default_factory=list)


# --- encoding ---------------------------------------------------------------------------------------------------


def encode(batch: Batch, content_type: str = MSGPACK) -> bytes:
    """Encode a batch as MessagePack or JSON."""
    if content_type == MSGPACK:
        return msgspec.msgpack.encode(_as_dict(batch, _bytes_of, _bytes_of))
    if content_type == JSON:
        return msgspec.json.encode(_as_dict(batch, _json_floats, _json_counters))
    raise WireError("Content-Type", content_type, f"use {MSGPACK} or {JSON}")


def _as_dict(batch: Batch, floats: Any, counters: Any) -> dict[str, Any]:
    ints = _bytes_of if floats is _bytes_of else list
    return {
        "rank": batch.rank,
        "seq": batch.seq,
        "attempt": batch.attempt,
        "step": ints(batch.step),
        "time": floats(batch.time),
        "metrics": {name: floats(column) for name, column in batch.metrics.items()},
        "devices": [_device_as_dict(device, floats, counters) for device in batch.devices],
        "events": list(batch.events),
    }


def _device_as_dict(device: Device, floats: Any, counters: Any) -> dict[str, Any]:
    out: dict[str, Any] = {
        "host": device.host,
        "boot_id": device.boot_id,
        "uuid": device.uuid,
        "component": device.component,
        "name": device.name,
        "method": device.method,
        "time": floats(device.time),
        "counter_unit_j": device.counter_unit_j,
        "counter_range": device.counter_range,
    }
    for name in DEVICE_FLOAT_COLUMNS:
        column = getattr(device, name)
        out[name] = None if column is None else floats(column)
    out["energy_counter"] = None if device.energy_counter is None else counters(device.energy_counter)
    return out


def _bytes_of(column: array[Any]) -> bytes:
    return _native(column).tobytes()


def _native(column: array[Any]) -> array[Any]:
    """Swap to or from little-endian on a big-endian machine; on all others, nothing."""
    if sys.byteorder == "little":
        return column
    swapped = column[:]
    swapped.byteswap()
    return swapped


def _json_floats(column: array[float]) -> list[float | str | None]:
    return [value if math.isfinite(value) else _non_finite_name(value) for value in column]


def _non_finite_name(value: float) -> str | None:
    if value != value:
        return "NaN" if is_measured(value) else None
    return "Infinity" if value > 0 else "-Infinity"


def _json_counters(column: array[int]) -> list[int | None]:
    return [None if value == NO_COUNTER else value for value in column]


# --- decoding ---------------------------------------------------------------------------------------------------


def decode(body: bytes, content_type: str = MSGPACK) -> Batch:
    """Decode a batch and check it in full.

    Raises:
        WireError: the body is malformed; the message names the field.
    """
    kind = content_type.partition(";")[0].strip().lower()
    if kind == MSGPACK:
        return _batch(_parse(msgspec.msgpack.decode, body), _Packed())
    if kind == JSON:
        return _batch(_parse(msgspec.json.decode, body), _Plain())
    raise WireError("Content-Type", content_type, f"use {MSGPACK} or {JSON}")


def _parse(parse: Any, body: bytes) -> dict[str, Any]:
    try:
        raw = parse(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise WireError("body", body[:40], f"the body cannot be decoded: {error}") from None
    if not isinstance(raw, dict):
        raise WireError("body", raw, "send one batch, an object with rank, seq, step, time and metrics")
    return raw


class _Packed:
    """Columns as MessagePack has them: little-endian bytes."""

    def ints(self, raw: object, name: str) -> array[int]:
        return cast("array[int]", self._column(raw, name, "q"))

    counters = ints

    def floats(self, raw: object, name: str, rows: int | None = None) -> array[float]:
        data = self._bytes(raw, name)
        if rows and len(data) == 4 * rows:
            return array("d", _from_bytes("f", data))
        return cast("array[float]", self._column(raw, name, "d"))

    def _column(self, raw: object, name: str, typecode: str) -> array[Any]:
        data = self._bytes(raw, name)
        if len(data) % 8:
            raise WireError(name, f"{len(data)} bytes", "send 8 bytes a row, little-endian")
        return _from_bytes(typecode, data)

    def _bytes(self, raw: object, name: str) -> bytes:
        if not isinstance(raw, bytes):
            raise WireError(name, raw, "send the column as bytes (MessagePack bin), little-endian")
        return raw


def _from_bytes(typecode: str, data: bytes) -> array[Any]:
    column: array[Any] = array(typecode)
    column.frombytes(data)
    return _native(column)


class _Plain:
    """Columns as JSON has them: arrays of numbers, null and three words for the non-finite."""

    def ints(self, raw: object, name: str) -> array[int]:
        rows = self._rows(raw, name)
        for i, value in enumerate(rows):
            _check_int64(value, f"{name}[{i}]")
        return array("q", rows)

    def counters(self, raw: object, name: str) -> array[int]:
        rows = self._rows(raw, name)
        return self.ints([NO_COUNTER if value is None else value for value in rows], name)

    def floats(self, raw: object, name: str, rows: int | None = None) -> array[float]:
        del rows
        return array("d", [_json_float(value, name, i) for i, value in enumerate(self._rows(raw, name))])

    def _rows(self, raw: object, name: str) -> list[Any]:
        if not isinstance(raw, list):
            raise WireError(name, raw, "send an array with one value a row")
        return raw


_JSON_WORDS: Final[dict[str, float]] = {"NaN": math.nan, "Infinity": math.inf, "-Infinity": -math.inf}


def _json_float(value: object, name: str, row: int) -> float:
    if type(value) is float:
        return value
    if value is None:
        return NOT_MEASURED
    if type(value) is int:
        try:
            return float(value)
        except OverflowError:
            pass
    elif isinstance(value, str) and value in _JSON_WORDS:
        return _JSON_WORDS[value]
    raise WireError(f"{name}[{row}]", value, 'send a number, null, "NaN", "Infinity" or "-Infinity"')


_Columns = _Packed | _Plain


def _batch(raw: dict[str, Any], columns: _Columns) -> Batch:
    step = columns.ints(_required(raw, "step"), "step")
    rows = len(step)
    time = columns.floats(_required(raw, "time"), "time")
    _check_rows("time", len(time), rows)
    _check_times("time", time)
    return Batch(
        rank=_natural(_required(raw, "rank"), "rank"),
        seq=_natural(_required(raw, "seq"), "seq"),
        attempt=_natural(raw.get("attempt", 0), "attempt"),
        step=step,
        time=time,
        metrics=_metrics(raw.get("metrics") or {}, columns, rows),
        devices=[_device(device, i, columns) for i, device in enumerate(_list(raw, "devices"))],
        events=[_event(event, i) for i, event in enumerate(_list(raw, "events"))],
    )


def _metrics(raw: object, columns: _Columns, rows: int) -> dict[str, array[float]]:
    if not isinstance(raw, dict):
        raise WireError("metrics", raw, "send an object of name and column")
    out: dict[str, array[float]] = {}
    for name, column in raw.items():
        if not isinstance(name, str) or not name:
            raise WireError("metrics", name, "name every metric with a non-empty string")
        values = columns.floats(column, f"metrics.{name}", rows)
        _check_rows(f"metrics.{name}", len(values), rows)
        out[name] = values
    return out


def _device(raw: object, index: int, columns: _Columns) -> Device:
    where = f"devices[{index}]"
    if not isinstance(raw, dict):
        raise WireError(where, raw, "send an object with host, boot_id, uuid, component, time")
    time = columns.floats(_required(raw, "time", where), f"{where}.time")
    _check_times(f"{where}.time", time)
    rows = len(time)
    floats: dict[str, array[float] | None] = {}
    for name in DEVICE_FLOAT_COLUMNS:
        column = raw.get(name)
        floats[name] = None if column is None else columns.floats(column, f"{where}.{name}", rows)
        _check_rows(f"{where}.{name}", rows if column is None else len(floats[name] or ()), rows)
    return Device(
        **{name: _text(raw, name, where) for name in ("host", "boot_id", "uuid", "name", "method")},
        component=_component(raw.get("component"), where),
        time=time,
        energy_counter=_counter(raw.get("energy_counter"), where, columns, rows),
        counter_unit_j=_unit(raw.get("counter_unit_j"), where),
        counter_range=_range(raw.get("counter_range"), where),
        **floats,
    )


def _component(value: object, where: str) -> Component:
    if not isinstance(value, str) or value not in COMPONENTS:
        raise WireError(f"{where}.component", value, f"use one of {', '.join(sorted(COMPONENTS))}")
    return cast("Component", value)


def _counter(raw: object, where: str, columns: _Columns, rows: int) -> array[int] | None:
    if raw is None:
        return None
    name = f"{where}.energy_counter"
    counter = columns.counters(raw, name)
    _check_rows(name, len(counter), rows)
    for i, value in enumerate(counter):
        if value < NO_COUNTER:
            raise WireError(f"{name}[{i}]", value, "a counter is 0 or more, or null")
    return counter


def _unit(value: object, where: str) -> float | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < math.inf:
        raise WireError(f"{where}.counter_unit_j", value, "give the joules of one count, more than 0")
    return float(value)


def _range(value: object, where: str) -> int | None:
    if value is None:
        return None
    name = f"{where}.counter_range"
    if _check_int64(value, name) <= 0:
        raise WireError(name, value, "give the count at which it wraps, more than 0, or null")
    return cast("int", value)


def _event(raw: object, index: int) -> dict[str, Any]:
    where = f"events[{index}]"
    if not isinstance(raw, dict):
        raise WireError(where, raw, "send an object with kind, step and time")
    if not isinstance(raw.get("kind"), str) or not raw["kind"]:
        raise WireError(f"{where}.kind", raw.get("kind"), "name the kind of event")
    if raw.get("step") is not None:
        _check_int64(raw["step"], f"{where}.step")
    time = raw.get("time")
    if isinstance(time, bool) or not isinstance(time, int | float) or not math.isfinite(time):
        raise WireError(f"{where}.time", time, "give Unix seconds")
    return raw


def _required(raw: Mapping[str, Any], name: str, where: str = "") -> Any:
    if name not in raw:
        raise WireError(f"{where}.{name}" if where else name, None, "this field is required")
    return raw[name]


def _list(raw: Mapping[str, Any], name: str) -> Iterable[object]:
    value = raw.get(name)
    if value is None:
        return ()
    if not isinstance(value, list):
        raise WireError(name, value, "send an array")
    return value


def _text(raw: Mapping[str, Any], name: str, where: str) -> str:
    value = raw.get(name)
    if not isinstance(value, str):
        raise WireError(f"{where}.{name}", value, "give a string")
    return value


def _natural(value: object, name: str) -> int:
    if _check_int64(value, name) < 0:
        raise WireError(name, value, "give 0 or more")
    return cast("int", value)


def _check_int64(value: object, name: str) -> int:
    if isinstance(value, bool) or not isinstance(value, int):
        raise WireError(name, value, "give an integer")
    if not INT64_MIN <= value <= INT64_MAX:
        raise WireError(name, value, "give an integer of 64 bits")
    return value


def _check_rows(name: str, got: int, rows: int) -> None:
    if got != rows:
        raise WireError(name, f"{got} rows", f"give {rows} rows, one for each row of the batch")


def _check_times(name: str, column: array[float]) -> None:
    for i, value in enumerate(column):
        if not math.isfinite(value):
            raise WireError(f"{name}[{i}]", value, "give Unix seconds")
