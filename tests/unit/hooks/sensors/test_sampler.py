"""Who reads the sensors of a host, when, and what becomes of the readings."""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Mapping
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from trimtab.identity import host_name
from trimtab.sensors import DeviceInfo, Reading, Sensor, SensorError
from trimtab.sensors.nvidia import nvml
from trimtab.sensors.reading import Fault
from trimtab.sensors.sampler import Sampler, next_due
from trimtab.steady_clock import SteadyClock
from trimtab.testing_nvml import Board, Nvml

GPU = DeviceInfo("GPU-a", "gpu", "a board", "counter", 1e-3, None)
HOST = DeviceInfo("host", "host", "an estimate", "model")
DEADLINE_S = 30.0


class Steps:
    """A sensor that counts its readings; it can be made to hang or to fail."""

    draw_times = False
    period_s: float | None = None

    def __init__(self, device: DeviceInfo = GPU, scope: str = "gpus") -> None:
        self.name = f"sensor of {device.uuid}"
        self.scope = scope
        self.reads = 0
        self.error: Exception | None = None
        self.may_go_on = threading.Event()
        self.may_go_on.set()
        self._device = device

    def read(self) -> list[Reading]:
        self.reads += 1
        self.may_go_on.wait(DEADLINE_S)
        if self.error is not None:
            raise self.error
        return [Reading(self._device, time=float(self.reads), energy_counter=100 * self.reads)]


def until(condition: Callable[[], bool]) -> None:
    deadline = time.monotonic() + DEADLINE_S
    while not condition():
        assert time.monotonic() < deadline, "the condition did not come about"
        time.sleep(0.002)


@pytest.fixture
def make(tmp_path: Path) -> Callable[..., Sampler]:
    def sampler(
        *sensors: Sensor, run: str = "r1", period_s: float = 0.005, retry_s: float = 0.005
    ) -> Sampler:
        return Sampler(
            run, time.time, lambda *_: sensors, lock_folder=tmp_path, period_s=period_s, retry_s=retry_s
        )

    return sampler


def test_readings_come_out_as_columns(make: Callable[..., Sampler]) -> None:
    sensor = Steps()
    sampler = make(sensor)
    sampler.start()
    until(lambda: sensor.reads >= 3)
    sampler.stop()
    (device,) = sampler.drain()
    assert (device.uuid, device.component, device.name, device.method) == (
        "GPU-a",
        "gpu",
        "a board",
        "counter",
    )
    assert device.counter_unit_j == 1e-3
    assert device.host
    assert device.boot_id
    assert list(device.time) == [float(i) for i in range(1, sensor.reads + 1)]
    assert device.energy_counter is not None
    assert list(device.energy_counter) == [100 * i for i in range(1, sensor.reads + 1)]
    assert (device.power_w, device.util) == (None, None)
    assert sampler.drain() == []


def test_the_end_is_read_too(make: Callable[..., Sampler]) -> None:
    sensor = Steps()
    sampler = make(sensor, period_s=3600.0)
    sampler.start()
    until(lambda: sensor.reads == 1)
    sampler.stop()
    assert sensor.reads == 2
    assert [list(device.time) for device in sampler.drain()] == [[1.0, 2.0]]


class Aligned(Steps):
    """A sensor that reads twice where a run begins and ends, and hears of faults."""

    def __init__(self) -> None:
        super().__init__()
        self.faults: list[Fault] = []

    def read_first(self) -> list[Reading]:
        return self.read() + self.read()

    def read_last(self) -> list[Reading]:
        return self.read() + self.read()

    def take_faults(self) -> list[Fault]:
        taken, self.faults = self.faults, []
        return taken


def test_a_sensor_that_can_align_its_readings_does_so_at_both_ends(make: Callable[..., Sampler]) -> None:
    sensor = Aligned()
    sampler = make(sensor, period_s=3600.0)
    sampler.start()
    until(lambda: sensor.reads == 2)
    sampler.stop()
    assert [list(device.time) for device in sampler.drain()] == [[1.0, 2.0, 3.0, 4.0]]


def test_a_fault_of_a_device_is_told_as_an_event(make: Callable[..., Sampler]) -> None:
    sensor = Aligned()
    sensor.faults = [Fault(GPU, 1234.5, xid=79), Fault(GPU, 1235.5, ecc_uncorrected_errors=2)]
    told: list[Mapping[str, Any]] = []
    sampler = make(sensor)
    sampler.start(told.append)
    until(lambda: len(told) == 2)
    sampler.stop()
    about = {"kind": "device_fault", "step": None, "uuid": "GPU-a", "device": "a board", "host": host_name()}
    assert told == [
        {**about, "time": 1234.5, "xid": 79},
        {**about, "time": 1235.5, "ecc_uncorrected_errors": 2},
    ]


def test_a_sensor_may_ask_to_be_read_more_often(make: Callable[..., Sampler]) -> None:
    sensor, other = Steps(), Steps(HOST, "host")
    sensor.period_s = 0.005
    sampler = make(sensor, other, period_s=3600.0)
    sampler.start()
    until(lambda: sensor.reads >= 5)
    assert other.reads <= 1
    sampler.stop()


def test_when_the_machines_clock_is_set_the_readings_times_go_on(make: Callable[..., Sampler]) -> None:
    wall = 1_700_000_000.0
    driver = Nvml([Board("GPU-a", energy_mj=count(5_000_000).__next__)])
    (sensor,) = nvml.probe(SteadyClock(wall=lambda: wall), None, driver, {}).sensors
    sampler = make(sensor)
    sampler.start()
    until(lambda: driver.calls.count("nvmlDeviceGetTotalEnergyConsumption") > 100)
    wall += 3600.0
    until(lambda: driver.calls.count("nvmlDeviceGetTotalEnergyConsumption") > 110)
    sampler.stop()
    (device,) = sampler.drain()
    times = list(device.time)
    assert times == sorted(times)
    assert times[-1] - times[0] < 60.0


def test_a_job_shorter_than_the_search_for_sensors_is_read_once_or_twice(
    make: Callable[..., Sampler],
) -> None:
    sensor = Steps()
    sampler = make(sensor, period_s=3600.0)
    sampler.start()
    sampler.stop()
    assert sensor.reads in (1, 2)


def test_a_sensor_that_hangs_delays_no_other(make: Callable[..., Sampler]) -> None:
    stuck, other = Steps(GPU), Steps(HOST, "host")
    stuck.may_go_on.clear()
    sampler = make(stuck, other)
    sampler.start()
    until(lambda: other.reads >= 5)
    assert stuck.reads == 1
    assert [device.uuid for device in sampler.drain()] == ["host"]
    stuck.may_go_on.set()
    sampler.stop()


def test_a_sensor_that_fails_is_told_once_and_tried_again(
    make: Callable[..., Sampler], caplog: pytest.LogCaptureFixture
) -> None:
    sensor, other = Steps(GPU), Steps(HOST, "host")
    sensor.error = SensorError("none of 1 boards answers")
    sampler = make(sensor, other)
    with caplog.at_level(logging.WARNING, "trimtab"):
        sampler.start()
        until(lambda: sensor.reads >= 3 and other.reads >= 3)
        assert [record.message for record in caplog.records] == [
            "trimtab: sensor of GPU-a: none of 1 boards answers"
        ]
        sensor.error = None
        until(lambda: any(device.uuid == "GPU-a" for device in sampler.drain()))
        sampler.stop()


def test_an_error_that_no_sensor_should_raise_ends_nothing(
    make: Callable[..., Sampler], caplog: pytest.LogCaptureFixture
) -> None:
    sensor = Steps()
    sensor.error = ZeroDivisionError("a defect")
    sampler = make(sensor)
    sampler.start()
    until(lambda: sensor.reads >= 3)
    sampler.stop()
    assert len([record for record in caplog.records if "a defect" in record.message]) == 1


def test_one_of_the_ranks_reads_and_another_takes_over(make: Callable[..., Sampler]) -> None:
    sensors = Steps(), Steps()
    samplers = make(sensors[0]), make(sensors[1])
    samplers[0].start()
    until(lambda: sensors[0].reads >= 3)
    samplers[1].start()
    until(lambda: sensors[0].reads >= 6)
    assert sensors[1].reads == 0
    samplers[0].stop()
    until(lambda: sensors[1].reads >= 3)
    samplers[1].stop()


def test_two_runs_on_a_host_read_each_for_itself(make: Callable[..., Sampler]) -> None:
    sensors = Steps(), Steps()
    samplers = make(sensors[0], run="r1"), make(sensors[1], run="r2")
    for sampler in samplers:
        sampler.start()
    until(lambda: all(sensor.reads >= 2 for sensor in sensors))
    for sampler in samplers:
        sampler.stop()


def test_ranks_with_other_boards_read_each_their_own(make: Callable[..., Sampler]) -> None:
    sensors = Steps(scope="gpus-a"), Steps(scope="gpus-b")
    samplers = [make(sensor) for sensor in sensors]
    for sampler in samplers:
        sampler.start()
    until(lambda: all(sensor.reads >= 2 for sensor in sensors))
    for sampler in samplers:
        sampler.stop()


def test_a_rank_that_waits_for_its_turn_can_be_stopped(make: Callable[..., Sampler], tmp_path: Path) -> None:
    sensors = Steps(), Steps()
    first, second = make(sensors[0]), make(sensors[1], retry_s=3600.0)
    first.start()
    until(lambda: sensors[0].reads >= 1)
    second.start()
    second.stop()
    first.stop()
    assert sensors[1].reads == 0
    assert list(tmp_path.iterdir()) == [], "locks that nobody holds are removed"


@pytest.mark.parametrize(
    ("now", "share", "due"),
    [
        (0.0, 0.0, 1.0),
        (0.99, 0.0, 1.0),
        (1.0, 0.0, 2.0),
        (3.4, 0.0, 4.0),
        (0.1, 0.75, 1.75),
        (1.75, 0.1, 2.1),
    ],
)
def test_readings_keep_to_their_periods(now: float, share: float, due: float) -> None:
    assert next_due(100.0, 100.0 + now, 1.0, share) == pytest.approx(100.0 + due)
