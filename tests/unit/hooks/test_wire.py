"""The wire's two encodings: what goes in comes out, in each and from one to the other."""

from __future__ import annotations

import math
import struct
from array import array
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from trimtab import wire

INT64 = st.integers(wire.INT64_MIN, wire.INT64_MAX)
NATURAL = st.integers(0, wire.INT64_MAX)
SHARES = st.just(wire.NOT_MEASURED) | st.floats(0, 1)
MEASURED = st.floats(width=64) | st.just(math.nan)
VALUES = MEASURED | st.just(wire.NOT_MEASURED)
TIMES = st.floats(allow_nan=False, allow_infinity=False)
NAMES = st.text(min_size=1, max_size=20)
PLAIN = st.none() | st.booleans() | st.integers(-(2**31), 2**31) | st.text(max_size=20)
EVENTS = st.builds(
    lambda kind, step, time, extra: {**extra, "kind": kind, "step": step, "time": time},
    kind=NAMES,
    step=st.none() | INT64,
    time=TIMES,
    extra=st.dictionaries(NAMES, PLAIN, max_size=3),
)


def columns(values: st.SearchStrategy[Any], rows: int, typecode: str) -> st.SearchStrategy[array[Any]]:
    return st.lists(values, min_size=rows, max_size=rows).map(lambda items: array(typecode, items))


@st.composite
def devices(draw: st.DrawFn) -> wire.Device:
    rows = draw(st.integers(0, 4))
    floats = st.none() | columns(VALUES, rows, "d")
    return wire.Device(
        host=draw(st.text(max_size=8)),
        boot_id=draw(st.text(max_size=8)),
        uuid=draw(st.text(max_size=8)),
        component=draw(st.sampled_from(["gpu", "package", "dram", "module", "host"])),
        name=draw(st.text(max_size=8)),
        method=draw(st.text(max_size=8)),
        time=draw(columns(TIMES, rows, "d")),
        power_w=draw(floats),
        energy_counter=draw(st.none() | columns(st.just(wire.NO_COUNTER) | NATURAL, rows, "q")),
        counter_unit_j=draw(st.none() | st.floats(1e-9, 1e3)),
        counter_range=draw(st.none() | st.integers(1, wire.INT64_MAX)),
        util=draw(floats),
        mem_used_bytes=draw(floats),
        temp_c=draw(floats),
        used_share=draw(st.none() | columns(SHARES, rows, "d")),
        held_share=draw(st.none() | columns(SHARES, rows, "d")),
        power_limit_w=draw(st.none() | st.floats(1e-3, 1e5)),
        power_window_s=draw(st.none() | st.floats(1e-3, 1e2)),
        power_update_s=draw(st.none() | st.floats(1e-3, 1e2)),
        gauges=draw(st.dictionaries(NAMES, columns(VALUES, rows, "d"), max_size=2)),
    )


@st.composite
def batches(draw: st.DrawFn) -> wire.Batch:
    rows = draw(st.integers(0, 6))
    return wire.Batch(
        rank=draw(NATURAL),
        seq=draw(NATURAL),
        attempt=draw(st.integers(0, wire.MAX_ATTEMPT)),
        step=draw(columns(INT64, rows, "q")),
        time=draw(columns(TIMES, rows, "d")),
        metrics=draw(st.dictionaries(NAMES, columns(VALUES, rows, "d"), max_size=4)),
        devices=draw(st.lists(devices(), max_size=2)),
        events=draw(st.lists(EVENTS, max_size=2)),
    )


def meaning(batch: wire.Batch) -> object:
    """What a batch says, comparable: every measured NaN is the same, "not measured" is None."""

    def of(value: object) -> object:
        if isinstance(value, array):
            return [of(item) for item in value]
        if isinstance(value, float):
            return struct.pack("<d", value) if value == value else "NaN" if wire.is_measured(value) else None
        if isinstance(value, dict):
            return {name: of(column) for name, column in value.items()}
        return value

    def of_device(device: wire.Device) -> object:
        return {name: of(getattr(device, name)) for name in device.__dataclass_fields__}

    return (
        (batch.rank, batch.seq, batch.attempt),
        (of(batch.step), of(batch.time)),
        {name: of(column) for name, column in batch.metrics.items()},
        [of_device(device) for device in batch.devices],
        [dict(event) for event in batch.events],
    )


@pytest.mark.parametrize("content_type", [wire.MSGPACK, wire.JSON])
@given(batch=batches())
def test_what_goes_in_comes_out(content_type: str, batch: wire.Batch) -> None:
    assert meaning(wire.decode(wire.encode(batch, content_type), content_type)) == meaning(batch)


@given(batch=batches())
def test_from_one_encoding_to_the_other_and_back(batch: wire.Batch) -> None:
    packed = wire.encode(batch)
    plain = wire.encode(wire.decode(packed), wire.JSON)
    assert meaning(wire.decode(wire.encode(wire.decode(plain, wire.JSON)))) == meaning(batch)


@given(st.binary(max_size=60))
def test_rubbish_is_a_wire_error_and_nothing_else(body: bytes) -> None:
    for content_type in (wire.MSGPACK, wire.JSON):
        with pytest.raises(wire.WireError):
            wire.decode(body, content_type)


def test_columns_are_little_endian_bytes_of_eight() -> None:
    batch = wire.Batch(
        rank=0, seq=1, step=array("q", [7]), time=array("d", [2.5]), metrics={"loss": array("d", [1.0])}
    )
    raw = msgspec.msgpack.decode(wire.encode(batch))
    assert raw["step"] == struct.pack("<q", 7)
    assert raw["time"] == struct.pack("<d", 2.5)
    assert raw["metrics"]["loss"] == struct.pack("<d", 1.0)


def test_not_measured_is_the_named_bit_pattern() -> None:
    batch = wire.decode(b'{"rank":0,"seq":0,"step":[1],"time":[0],"metrics":{"loss":[null]}}', wire.JSON)
    raw = msgspec.msgpack.decode(wire.encode(batch))
    assert raw["metrics"]["loss"] == struct.pack("<Q", 0x7FF80000000054AB)


def test_json_tells_the_non_finite_in_words() -> None:
    values = [math.nan, math.inf, -math.inf, wire.NOT_MEASURED]
    batch = wire.Batch(
        rank=0,
        seq=0,
        step=array("q", range(4)),
        time=array("d", range(4)),
        metrics={"loss": array("d", values)},
    )
    raw = msgspec.json.decode(wire.encode(batch, wire.JSON))
    assert raw["metrics"]["loss"] == ["NaN", "Infinity", "-Infinity", None]


def test_float32_columns_widen_exactly_and_every_nan_in_them_is_measured() -> None:
    values = struct.pack("<3f", 0.1, math.nan, math.inf)
    body = msgspec.msgpack.encode(
        {
            "rank": 0,
            "seq": 0,
            "step": struct.pack("<3q", 1, 2, 3),
            "time": struct.pack("<3d", 1, 2, 3),
            "metrics": {"loss": values},
        }
    )
    loss = wire.decode(body).metrics["loss"]
    assert loss[0] == struct.unpack("<f", struct.pack("<f", 0.1))[0]
    assert math.isnan(loss[1])
    assert wire.is_measured(loss[1])
    assert loss[2] == math.inf


def plain(**changes: object) -> dict[str, Any]:
    return {
        "rank": 0,
        "seq": 0,
        "step": [1, 2],
        "time": [0.0, 1.0],
        "metrics": {"loss": [1.0, 2.0]},
    } | changes


def device(**changes: object) -> dict[str, Any]:
    names = {"host": "h", "boot_id": "b", "uuid": "u", "name": "n", "method": "counter"}
    return {**names, "component": "gpu", "time": [0.0]} | changes


@pytest.mark.parametrize(
    ("body", "field"),
    [
        (plain(rank=-1), "rank"),
        (plain(rank=True), "rank"),
        (plain(seq=1.5), "seq"),
        (plain(attempt="x"), "attempt"),
        (plain(attempt=2**31), "attempt"),
        (plain(step=[1, 2**63]), "step[1]"),
        (plain(step=[1, None]), "step[1]"),
        (plain(step=7), "step"),
        (plain(time=[0.0]), "time"),
        (plain(time=[0.0, "NaN"]), "time[1]"),
        (plain(time=[0.0, "noon"]), "time[1]"),
        (plain(metrics=[]), "metrics"),
        (plain(metrics={"": [1, 2]}), "metrics"),
        (plain(metrics={"loss": [1.0]}), "metrics.loss"),
        (plain(metrics={"loss": [1.0, "nan"]}), "metrics.loss[1]"),
        (plain(metrics={"loss": [1.0, False]}), "metrics.loss[1]"),
        (plain(metrics={"loss": "1"}), "metrics.loss"),
        (plain(devices={}), "devices"),
        (plain(devices=[3]), "devices[0]"),
        (plain(devices=[device(component="tpu")]), "devices[0].component"),
        (plain(devices=[device(uuid=None)]), "devices[0].uuid"),
        (plain(devices=[device(power_w=[1.0, 2.0])]), "devices[0].power_w"),
        (plain(devices=[device(energy_counter=[-2])]), "devices[0].energy_counter[0]"),
        (plain(devices=[device(counter_unit_j=0)]), "devices[0].counter_unit_j"),
        (plain(devices=[device(counter_range=0)]), "devices[0].counter_range"),
        (plain(events=[{"step": 1, "time": 0}]), "events[0].kind"),
        (plain(events=[{"kind": "phase", "step": "1", "time": 0}]), "events[0].step"),
        (plain(events=[{"kind": "phase", "step": 1}]), "events[0].time"),
        ([], "body"),
    ],
)
def test_malformed_input_names_the_field(body: object, field: str) -> None:
    with pytest.raises(wire.WireError) as caught:
        wire.decode(msgspec.json.encode(body), wire.JSON)
    assert caught.value.field == field
    assert caught.value.remedy


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("x", "x"),
        (None, "null"),
        (True, "true"),
        ([1, "a"], '[1,"a"]'),
        ({"a": None}, '{"a":null}'),
        (2.5, "2.5"),
    ],
)
def test_a_value_is_shown_as_it_was_given(value: object, shown: str) -> None:
    with pytest.raises(wire.WireError) as caught:
        wire.decode(msgspec.json.encode(plain(rank=value)), wire.JSON)
    assert caught.value.value == shown


def test_a_body_is_shown_as_text() -> None:
    with pytest.raises(wire.WireError) as caught:
        wire.decode(b'{"rank": ', wire.JSON)
    assert (caught.value.field, caught.value.value) == ("body", '{"rank": ')


@pytest.mark.parametrize("missing", ["rank", "seq", "step", "time"])
def test_a_missing_field_is_named(missing: str) -> None:
    body = plain()
    del body[missing]
    with pytest.raises(wire.WireError, match=f"^{missing}: "):
        wire.decode(msgspec.json.encode(body), wire.JSON)


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"step": b"1234567"}, "step"),
        ({"step": [1]}, "step"),
        ({"metrics": {"loss": b"123"}}, "metrics.loss"),
    ],
)
def test_malformed_packed_columns_name_the_field(changes: dict[str, object], field: str) -> None:
    body = {"rank": 0, "seq": 0, "step": bytes(8), "time": bytes(8), "metrics": {}} | changes
    with pytest.raises(wire.WireError) as caught:
        wire.decode(msgspec.msgpack.encode(body))
    assert caught.value.field == field


def test_an_unknown_content_type_is_named() -> None:
    with pytest.raises(wire.WireError, match="text/plain"):
        wire.decode(b"", "text/plain")
    assert wire.decode(msgspec.json.encode(plain()), "application/json; charset=utf-8").rows == 2
