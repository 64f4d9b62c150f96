"""The model of the host's CPUs, from made-up times and this machine's own."""

from __future__ import annotations

import itertools

import pytest

from trimtab.sensors.cpu import host_model
from trimtab.sensors.cpu.host_model import CpuTimes, modelled_power_w
from trimtab.sensors.share.cpu_share import Share, ShareOf, all_of_it


def clock() -> float:
    return 1000.0


def host_sensor(*times: CpuTimes, share_of: ShareOf = all_of_it) -> host_model.HostModelSensor:
    told_times = iter(times)
    sensor = host_model.probe(clock, share_of, 16, lambda: next(told_times)).sensor
    assert isinstance(sensor, host_model.HostModelSensor)
    return sensor


def test_the_modelled_power_is_the_mean_since_the_reading_before() -> None:
    sensor = host_sensor(CpuTimes(100, 1000), CpuTimes(108, 1016), CpuTimes(108, 1032), CpuTimes(124, 1048))
    readings = [reading for _ in range(3) for reading in sensor.read()]
    assert [reading.util for reading in readings] == [0.5, 0.0, 1.0]
    assert [reading.power_w for reading in readings] == pytest.approx([44.6, 12.8, 64.0], abs=0.05)


def test_the_model_says_that_it_is_one() -> None:
    sensor = host_sensor(CpuTimes(0, 0))
    assert (sensor.device.uuid, sensor.device.component, sensor.device.method) == ("host", "host", "model")
    assert "estimate" in sensor.device.name
    assert "between half and twice" in sensor.device.name


def test_no_time_passed_is_no_reading() -> None:
    assert host_sensor(CpuTimes(5, 10), CpuTimes(5, 10)).read() == []


def test_this_host_can_be_modelled() -> None:
    sensor = host_model.probe(clock).sensor
    while not (readings := sensor.read()):
        sum(range(100_000))
    assert readings[0].util is not None
    assert 0 <= readings[0].util <= 1
    assert readings[0].power_w is not None
    assert readings[0].power_w > 0


def test_the_curve_only_rises_and_is_steepest_when_the_machine_is_idle() -> None:
    power_w = [modelled_power_w(16, step / 100) for step in range(101)]
    rises = [after - before for before, after in itertools.pairwise(power_w)]
    assert min(rises) > 0
    assert rises == sorted(rises, reverse=True)


def test_the_jobs_share_goes_with_the_reading() -> None:
    sensor = host_sensor(CpuTimes(0, 0), CpuTimes(5, 10), share_of=lambda: Share(0.25, 0.5))
    (reading,) = sensor.read()
    assert (reading.used_share, reading.held_share) == (0.25, 0.5)
