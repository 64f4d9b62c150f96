"""Which power meters of a Grace CPU or module are read, from a tree made up for the test."""

from __future__ import annotations

from collections.abc import Set
from dataclasses import dataclass
from pathlib import Path

import pytest

from trimtab.sensors import Probe, SensorError
from trimtab.sensors.cpu import grace
from trimtab.sensors.share.cpu_share import Share
from trimtab.vocabulary import Component


@dataclass
class Hwmon:
    """Power meters as the kernel's acpi_power_meter shows them."""

    root: Path
    count: int = 0

    def meter(self, label: str, microwatts: int, interval_ms: int | None = 1000) -> Path:
        folder = self.root / f"hwmon{self.count}" / "device"
        self.count += 1
        folder.mkdir(parents=True)
        (folder / "power1_oem_info").write_text(f"{label}\n")
        (folder / "power1_average").write_text(f"{microwatts}\n")
        if interval_ms is not None:
            (folder / "power1_average_interval").write_text(f"{interval_ms}\n")
        return folder / "power1_average"

    def probe(self, covered: Set[Component] = frozenset()) -> Probe:
        return grace.probe(lambda: 1000.0, covered, lambda: Share(None, 0.5), self.root)


@pytest.fixture
def hwmon(tmp_path: Path) -> Hwmon:
    return Hwmon(tmp_path / "hwmon")


@pytest.fixture
def hopper(hwmon: Hwmon) -> Hwmon:
    """A Grace Hopper, with all its meters."""
    hwmon.meter("CPU Power Socket 0", 80_000_000)
    hwmon.meter("Module Power Socket 0", 600_000_000)
    hwmon.meter("SysIO Power Socket 0", 20_000_000)
    hwmon.meter("Grace Power Socket 0", 120_000_000)
    return hwmon


def test_a_module_is_read_where_no_gpu_is(hopper: Hwmon) -> None:
    probe = hopper.probe()
    (reading,) = probe.sensor.read()
    assert (reading.device.uuid, reading.device.component) == ("grace:module:0", "module")
    assert (reading.time, reading.power_w, reading.held_share) == (1000.0, 600.0, 0.5)
    assert (reading.device.method, reading.device.power_window_s) == ("power_average", 1.0)
    assert (probe.sensor.draw_times, probe.sensor.period_s) == (False, None)


def test_beside_a_gpu_the_cpus_socket_is_read_and_not_the_module(hopper: Hwmon) -> None:
    (reading,) = hopper.probe({"gpu"}).sensor.read()
    assert (reading.device.uuid, reading.device.component) == ("grace:grace:0", "package")
    assert reading.power_w == 120.0


def test_a_grace_superchip_has_two_sockets(hwmon: Hwmon) -> None:
    for socket in (1, 0):
        hwmon.meter(f"Grace Power Socket {socket}", 100_000_000 + socket)
        hwmon.meter(f"CPU Power Socket {socket}", 90_000_000)
    assert [device.uuid for device in hwmon.probe().devices] == ["grace:grace:0", "grace:grace:1"]


@pytest.mark.parametrize("interval_ms", [50, None, 0])
def test_a_meter_that_averages_over_less_than_a_second_is_read_often_at_random(
    hwmon: Hwmon, interval_ms: int | None
) -> None:
    hwmon.meter("Grace Power Socket 0", 100_000_000, interval_ms)
    probe = hwmon.probe()
    assert probe.devices[0].method == "power_instant"
    assert (probe.sensor.draw_times, probe.sensor.period_s) == (True, 0.1)


def test_a_meter_that_fails_is_told_once_and_the_others_are_read(
    hwmon: Hwmon, caplog: pytest.LogCaptureFixture
) -> None:
    hwmon.meter("Grace Power Socket 0", 100_000_000)
    lost = hwmon.meter("Grace Power Socket 1", 100_000_000)
    sensor = hwmon.probe().sensor
    lost.unlink()
    for _ in range(3):
        assert [reading.device.uuid for reading in sensor.read()] == ["grace:grace:0"]
    assert len(caplog.records) == 1


def test_when_every_meter_fails_the_sensor_says_so(hwmon: Hwmon) -> None:
    power = hwmon.meter("Grace Power Socket 0", 100_000_000)
    sensor = hwmon.probe().sensor
    power.write_text("-1")
    with pytest.raises(SensorError, match="none of 1 power meters"):
        sensor.read()


def test_another_machines_meters_are_not_read(hwmon: Hwmon) -> None:
    hwmon.meter("Total system power", 400_000_000)
    assert not hwmon.probe().found
    assert not Hwmon(hwmon.root / "missing").probe().found
