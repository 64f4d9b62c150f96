"""Decodes a batch from MessagePack or JSON, and checks it in full."""

from __future__ import annotations

import math
from array import array
from collections.abc import Iterable, Mapping
from typing import Any, Final, cast

import msgspec

from trimtab.encoding import native
from trimtab.vocabulary import (
    COMPONENTS,
    INT64_MAX,
    INT64_MIN,
    JSON,
    MAX_ATTEMPT,
    MSGPACK,
    NO_COUNTER,
    NOT_MEASURED,
    Batch,
    Component,
    Device,
    WireError,
)


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
        raise WireError("body", body[:40], f"send a batch that can be decoded: {error}") from None
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
    return native(column)


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
        attempt=_attempt(raw.get("attempt", 0)),
        step=step,
        time=time,
        metrics=_metrics(raw.get("metrics"), columns, rows),
        devices=[_device(device, i, columns) for i, device in enumerate(_list(raw, "devices"))],
        events=[_event(event, i) for i, event in enumerate(_list(raw, "events"))],
    )


def _metrics(raw: object, columns: _Columns, rows: int) -> dict[str, array[float]]:
    if raw is None:
        return {}
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

    def floats(name: str) -> array[float] | None:
        if raw.get(name) is None:
            return None
        column = columns.floats(raw[name], f"{where}.{name}", rows)
        _check_rows(f"{where}.{name}", len(column), rows)
        return column

    return Device(
        host=_text(raw, "host", where),
        boot_id=_text(raw, "boot_id", where),
        uuid=_text(raw, "uuid", where),
        component=_component(raw.get("component"), where),
        name=_text(raw, "name", where),
        method=_text(raw, "method", where),
        time=time,
        power_w=floats("power_w"),
        energy_counter=_counter(raw.get("energy_counter"), where, columns, rows),
        counter_unit_j=_unit(raw.get("counter_unit_j"), where),
        counter_range=_range(raw.get("counter_range"), where),
        util=floats("util"),
        mem_used_bytes=floats("mem_used_bytes"),
        temp_c=floats("temp_c"),
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
        raise WireError(f"{where}.{name}" if where else name, None, "give this field: it is required")
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


def _attempt(value: object) -> int:
    attempt = _natural(value, "attempt")
    if attempt > MAX_ATTEMPT:
        raise WireError("attempt", attempt, f"give how often the run began again, at most {MAX_ATTEMPT}")
    return attempt


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
