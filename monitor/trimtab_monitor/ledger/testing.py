"""Device readings in few words, for tests of whatever folds them."""

from __future__ import annotations

from array import array
from collections.abc import Sequence
from itertools import accumulate
from typing import Any

import msgspec

from trimtab import wire
from trimtab_monitor.ledger.ledger import EnergyLedger

T0 = 1_700_000_000.0
RAPL_RANGE = 262_143_328_850
MICROJOULE = 1e-06
MILLIJOULE = 1e-03


def device(
    times: Sequence[float],
    *,
    power: Sequence[float | None] | None = None,
    counter: Sequence[int | None] | None = None,
    **given: Any,
) -> wire.Device:
    """Readings at `times` (seconds after T0); None is not measured."""
    fields: dict[str, Any] = {
        "host": "node1",
        "boot_id": "boot1",
        "uuid": "GPU-1",
        "component": "gpu",
        "name": "NVIDIA H100",
        "method": "power_instant" if counter is None else "counter",
        "counter_unit_j": None if counter is None else MILLIJOULE,
    }
    fields.update(given)
    return wire.Device(
        time=array("d", (T0 + time for time in times)),
        power_w=None if power is None else array("d", map(_power, power)),
        energy_counter=None if counter is None else array("q", map(_counter, counter)),
        **fields,
    )


def _power(value: float | None) -> float:
    return wire.NOT_MEASURED if value is None else value


def _counter(value: int | None) -> int:
    return wire.NO_COUNTER if value is None else value


def rapl(times: Sequence[float], counter: Sequence[int | None], **given: Any) -> wire.Device:
    """Readings of a CPU package's counter in microjoules."""
    fields: dict[str, Any] = {
        "uuid": "intel-rapl:0",
        "component": "package",
        "name": "package-0",
        "counter_unit_j": MICROJOULE,
        "counter_range": RAPL_RANGE,
    }
    return device(times, counter=counter, **{**fields, **given})


def rapl_trace(period: float, seconds: float, watts: float, start: int = 0) -> tuple[list[float], list[int]]:
    """Times and counter of a package at constant power, wrapping."""
    times = [period * i for i in range(round(seconds / period) + 1)]
    step = round(watts * period * 1e6)
    counts = accumulate([start, *[step] * (len(times) - 1)])
    return times, [count % RAPL_RANGE for count in counts]


def ledger_of(*devices: wire.Device) -> EnergyLedger:
    """A ledger that has seen these."""
    ledger = EnergyLedger()
    for each in devices:
        ledger.add(each)
    return ledger


def restored(ledger: EnergyLedger) -> EnergyLedger:
    """The ledger written down and read back."""
    return msgspec.msgpack.decode(msgspec.msgpack.encode(ledger), type=EnergyLedger)


def joules_by_method(ledger: EnergyLedger) -> dict[str, float | None]:
    """Measured energy by method; for tests with one device."""
    return {row.method: row.joules for row in ledger.rows()}
