"""Encodes a batch as MessagePack or JSON."""

from __future__ import annotations

import math
import sys
from array import array
from collections.abc import Callable, Mapping
from typing import Any

import msgspec

from trimtab.vocabulary import (
    DEVICE_FLOAT_COLUMNS,
    DEVICE_POWER_FACTS,
    JSON,
    MSGPACK,
    NO_COUNTER,
    Batch,
    Device,
    WireError,
    is_measured,
)


def encode(batch: Batch, content_type: str = MSGPACK, between: Callable[[], object] = lambda: None) -> bytes:
    """Encode a batch as MessagePack or JSON; `between` is called after each column of MessagePack."""
    if content_type == MSGPACK:
        columns = msgspec.Raw(_packed_columns(batch.metrics, between))
        return msgspec.msgpack.encode(_as_dict(batch, _bytes_of, _bytes_of) | {"metrics": columns})
    if content_type == JSON:
        return msgspec.json.encode(_as_dict(batch, _json_floats, _json_counters))
    raise WireError("Content-Type", content_type, f"use {MSGPACK} or {JSON}")


def _as_dict(batch: Batch, floats: Any, counters: Any) -> dict[str, Any]:
    packed = floats is _bytes_of
    ints = _bytes_of if packed else list
    return {
        "rank": batch.rank,
        "seq": batch.seq,
        "attempt": batch.attempt,
        "step": ints(batch.step),
        "time": floats(batch.time),
        "metrics": {} if packed else {name: floats(column) for name, column in batch.metrics.items()},
        "devices": [_device_as_dict(device, floats, counters) for device in batch.devices],
        "events": [dict(event) if packed else _json_event(event) for event in batch.events],
    }


def _packed_columns(metrics: Mapping[str, array[float]], between: Callable[[], object]) -> bytes:
    """Encode a map of columns piece by piece: in one call, ten thousand take milliseconds."""
    pack = msgspec.msgpack.Encoder().encode
    pieces = [_map_head(len(metrics))]
    for name, column in metrics.items():
        pieces += (pack(name), pack(_bytes_of(column)))
        between()
    return b"".join(pieces)


def _map_head(size: int) -> bytes:
    """Return the head of a MessagePack map: fixmap, map 16 or map 32."""
    if size < 16:
        return bytes([0x80 | size])
    if size < 2**16:
        return b"\xde" + size.to_bytes(2, "big")
    return b"\xdf" + size.to_bytes(4, "big")


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
    out |= {name: getattr(device, name) for name in DEVICE_POWER_FACTS}
    out["gauges"] = {name: floats(column) for name, column in device.gauges.items()}
    out["energy_counter"] = None if device.energy_counter is None else counters(device.energy_counter)
    return out


def _bytes_of(column: array[Any]) -> bytes:
    return native(column).tobytes()


def _json_floats(column: array[float]) -> list[float | str | None]:
    return [value if math.isfinite(value) else _non_finite_name(value) for value in column]


def _non_finite_name(value: float) -> str | None:
    if value != value:
        return "NaN" if is_measured(value) else None
    return "Infinity" if value > 0 else "-Infinity"


def _json_event(event: Mapping[str, Any]) -> dict[str, Any]:
    """Name the non-finite, which JSON lacks; a reader of events sees the same words."""

    def plain(value: Any) -> Any:
        return value if not isinstance(value, float) or math.isfinite(value) else _non_finite_name(value)

    return {key: plain(value) for key, value in event.items()}


def _json_counters(column: array[int]) -> list[int | None]:
    return [None if value == NO_COUNTER else value for value in column]


def native(column: array[Any]) -> array[Any]:
    """Swap to or from little-endian on a big-endian machine; on all others, nothing."""
    if sys.byteorder == "little":
        return column
    swapped = column[:]
    swapped.byteswap()
    return swapped
