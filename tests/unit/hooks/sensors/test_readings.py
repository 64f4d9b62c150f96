"""Readings of devices in columns, bounded."""

from __future__ import annotations

from dataclasses import replace

from trimtab.sensors import DeviceInfo, Reading
from trimtab.sensors.readings import Readings
from trimtab.vocabulary import NO_COUNTER, Device, is_measured

GPU = DeviceInfo("GPU-a", "gpu", "a board", "counter", 1e-3, None)
HOST = DeviceInfo("host", "host", "an estimate", "model")


def readings(count: int, device: DeviceInfo = GPU) -> list[Reading]:
    return [Reading(device, time=float(i), power_w=10.0 * i) for i in range(count)]


def test_the_oldest_readings_are_dropped_and_counted() -> None:
    held = Readings("a-host", "boot-1", capacity=4)
    held.add(readings(7))
    held.add(readings(3, HOST))
    assert held.dropped == 3
    drained = {device.uuid: list(device.time) for device in held.drain()}
    assert drained == {"GPU-a": [3.0, 4.0, 5.0, 6.0], "host": [0.0, 1.0, 2.0]}


def test_what_a_reading_lacks_is_not_measured() -> None:
    held = Readings("a-host", "boot-1")
    held.add([Reading(GPU, 1.0, power_w=5.0, energy_counter=7), Reading(GPU, 2.0, util=0.0)])
    (device,) = held.drain()
    assert isinstance(device, Device)
    assert device.power_w is not None
    assert [is_measured(value) for value in device.power_w] == [True, False]
    assert device.energy_counter is not None
    assert list(device.energy_counter) == [7, NO_COUNTER]
    assert device.util is not None
    assert [is_measured(value) for value in device.util] == [False, True]
    assert device.temp_c is None
    assert (device.host, device.boot_id) == ("a-host", "boot-1")


def test_a_device_whose_method_changes_keeps_the_order_of_its_readings() -> None:
    by_power = replace(GPU, method="power_average", counter_unit_j=None)
    held = Readings("a-host", "boot-1")
    for time_s, device in enumerate([GPU, GPU, by_power, GPU]):
        held.add([Reading(device, float(time_s))])
    drained = [(device.method, list(device.time)) for device in held.drain()]
    assert drained == [("counter", [0.0, 1.0]), ("power_average", [2.0]), ("counter", [3.0])]
