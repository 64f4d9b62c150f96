"""Decodes a batch from MessagePack or JSON, and checks it in full."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from typing import Any

import msgspec

from trimtab.decoding_columns import (
    Columns,
    Packed,
    Plain,
    check_int64,
    check_rows,
    check_times,
    named_columns,
    natural,
    required,
)
from trimtab.decoding_device import decode_device
from trimtab.vocabulary import JSON, MAX_ATTEMPT, MSGPACK, Batch, WireError


def decode(body: bytes, content_type: str = MSGPACK) -> Batch:
    """Decode a batch and check it in full.

    Raises:
        WireError: the body is malformed; the message names the field.
    """
    kind = content_type.partition(";")[0].strip().lower()
    if kind == MSGPACK:
        return _batch(_parse(msgspec.msgpack.decode, body), Packed())
    if kind == JSON:
        return _batch(_parse(msgspec.json.decode, body), Plain())
    raise WireError("Content-Type", content_type, f"use {MSGPACK} or {JSON}")


def _parse(parse: Any, body: bytes) -> dict[str, Any]:
    try:
        raw = parse(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise WireError("body", body[:40], f"send a batch that can be decoded: {error}") from None
    if not isinstance(raw, dict):
        raise WireError("body", raw, "send one batch, an object with rank, seq, step, time and metrics")
    return raw


def _batch(raw: dict[str, Any], columns: Columns) -> Batch:
    step = columns.ints(required(raw, "step"), "step")
    rows = len(step)
    time = columns.floats(required(raw, "time"), "time")
    check_rows("time", len(time), rows)
    check_times("time", time)
    return Batch(
        rank=natural(required(raw, "rank"), "rank"),
        seq=natural(required(raw, "seq"), "seq"),
        attempt=_attempt(raw.get("attempt", 0)),
        step=step,
        time=time,
        metrics=named_columns(raw.get("metrics"), "metrics", columns, rows),
        devices=[decode_device(device, i, columns) for i, device in enumerate(_list(raw, "devices"))],
        events=[_event(event, i) for i, event in enumerate(_list(raw, "events"))],
    )


def _event(raw: object, index: int) -> dict[str, Any]:
    where = f"events[{index}]"
    if not isinstance(raw, dict):
        raise WireError(where, raw, "send an object with kind, step and time")
    if not isinstance(raw.get("kind"), str) or not raw["kind"]:
        raise WireError(f"{where}.kind", raw.get("kind"), "name the kind of event")
    if raw.get("step") is not None:
        check_int64(raw["step"], f"{where}.step")
    time = raw.get("time")
    if isinstance(time, bool) or not isinstance(time, int | float) or not math.isfinite(time):
        raise WireError(f"{where}.time", time, "give Unix seconds")
    return raw


def _list(raw: Mapping[str, Any], name: str) -> Iterable[object]:
    value = raw.get(name)
    if value is None:
        return ()
    if not isinstance(value, list):
        raise WireError(name, value, "send an array")
    return value


def _attempt(value: object) -> int:
    attempt = natural(value, "attempt")
    if attempt > MAX_ATTEMPT:
        raise WireError("attempt", attempt, f"give how often the run began again, at most {MAX_ATTEMPT}")
    return attempt
