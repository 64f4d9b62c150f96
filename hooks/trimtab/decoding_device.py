"""Decodes the readings of one device, and checks them in full."""

from __future__ import annotations

import math
from array import array
from collections.abc import Mapping
from typing import Any, cast

from trimtab.decoding_columns import (
    Columns,
    check_int64,
    check_rows,
    check_times,
    named_columns,
    required,
    text,
)
from trimtab.vocabulary import COMPONENTS, NO_COUNTER, Component, Device, WireError, is_measured


def decode_device(raw: object, index: int, columns: Columns) -> Device:
    """Return the readings of the device at `index` of the batch.

    Raises:
        WireError: a field is malformed; the message names it.
    """
    where = f"devices[{index}]"
    if not isinstance(raw, dict):
        raise WireError(where, raw, "send an object with host, boot_id, uuid, component, time")
    time = columns.floats(required(raw, "time", where), f"{where}.time")
    check_times(f"{where}.time", time)
    rows = len(time)

    def floats(name: str) -> array[float] | None:
        if raw.get(name) is None:
            return None
        column = columns.floats(raw[name], f"{where}.{name}", rows)
        check_rows(f"{where}.{name}", len(column), rows)
        return column

    return Device(
        host=text(raw, "host", where),
        boot_id=text(raw, "boot_id", where),
        uuid=text(raw, "uuid", where),
        component=_component(raw.get("component"), where),
        name=text(raw, "name", where),
        method=text(raw, "method", where),
        time=time,
        power_w=floats("power_w"),
        energy_counter=_counter(raw.get("energy_counter"), where, columns, rows),
        counter_unit_j=_positive(raw, "counter_unit_j", where, "give the joules of one count, more than 0"),
        counter_range=_range(raw.get("counter_range"), where),
        util=floats("util"),
        mem_used_bytes=floats("mem_used_bytes"),
        temp_c=floats("temp_c"),
        used_share=_share(floats("used_share"), f"{where}.used_share"),
        held_share=_share(floats("held_share"), f"{where}.held_share"),
        power_limit_w=_positive(raw, "power_limit_w", where, "give watts, more than 0"),
        power_window_s=_positive(raw, "power_window_s", where, "give seconds, more than 0"),
        power_update_s=_positive(raw, "power_update_s", where, "give seconds, more than 0"),
        gauges=named_columns(raw.get("gauges"), f"{where}.gauges", columns, rows),
    )


def _share(column: array[float] | None, name: str) -> array[float] | None:
    for i, value in enumerate(column or ()):
        if is_measured(value) and not 0 <= value <= 1:
            raise WireError(f"{name}[{i}]", value, "give a part of 0 to 1, or null")
    return column


def _component(value: object, where: str) -> Component:
    if not isinstance(value, str) or value not in COMPONENTS:
        raise WireError(f"{where}.component", value, f"use one of {', '.join(sorted(COMPONENTS))}")
    return cast("Component", value)


def _counter(raw: object, where: str, columns: Columns, rows: int) -> array[int] | None:
    if raw is None:
        return None
    name = f"{where}.energy_counter"
    counter = columns.counters(raw, name)
    check_rows(name, len(counter), rows)
    for i, value in enumerate(counter):
        if value < NO_COUNTER:
            raise WireError(f"{name}[{i}]", value, "a counter is 0 or more, or null")
    return counter


def _positive(raw: Mapping[str, Any], name: str, where: str, remedy: str) -> float | None:
    value = raw.get(name)
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 < value < math.inf:
        raise WireError(f"{where}.{name}", value, remedy)
    return float(value)


def _range(value: object, where: str) -> int | None:
    if value is None:
        return None
    name = f"{where}.counter_range"
    if check_int64(value, name) <= 0:
        raise WireError(name, value, "give the count at which it wraps, more than 0, or null")
    return cast("int", value)
