"""What the sensors read, from trees and drivers made up for the test."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import pytest

from trimtab import sensors
from trimtab.sensors import NoSensor, Probe, SensorError, SteadyClock, host_model, nvml, rapl
from trimtab.sensors.host_model import CpuTimes
from trimtab.sensors.reading import DeviceInfo
from trimtab.testing_nvml import Board, Nvml


def clock() -> float:
    return 1000.0


# --- RAPL
# -------------------------------------------------------------------------------------------------------


@dataclass
class PowercapTree:
    """A powercap tree as the kernel lays it out: every zone flat, and children under their parent too."""

    root: Path

    def zone(
        self, zone_id: str, name: str, energy_uj: int, range_uj: int = 262143328850, kind: str = "intel-rapl"
    ) -> Path:
        folder = self.root / f"{kind}:{zone_id}"
        folder.mkdir(parents=True)
        (folder / "name").write_text(f"{name}\n")
        (folder / "max_energy_range_uj").write_text(f"{range_uj}\n")
        self.set(folder, energy_uj)
        return folder

    def set(self, folder: Path, energy_uj: int) -> None:
        (folder / "energy_uj").write_text(f"{energy_uj}\n")


@pytest.fixture
def tree(tmp_path: Path) -> PowercapTree:
    return PowercapTree(tmp_path / "powercap")


def test_packages_and_their_memory_are_counted_and_nothing_that_overlaps(tree: PowercapTree) -> None:
    tree.zone("0", "package-0", 100)
    tree.zone("0:0", "core", 60)
    tree.zone("0:1", "uncore", 5)
    tree.zone("0:2", "dram", 30, range_uj=65532610987)
    tree.zone("1", "package-1", 200)
    tree.zone("2", "psys", 400)
    tree.zone("0", "package-0", 101, kind="intel-rapl-mmio")
    (tree.root / "intel-rapl").mkdir()
    probe = rapl.probe(clock, tree.root)
    readings = probe.sensor.read()
    assert {reading.device.uuid: reading.energy_counter for reading in readings} == {
        "rapl:package-0:0": 100,
        "rapl:dram:0:2": 30,
        "rapl:package-1:1": 200,
    }
    assert (probe.problem, probe.remedy) == (None, None)
    memory = next(reading.device for reading in readings if reading.device.component == "dram")
    assert memory == DeviceInfo("rapl:dram:0:2", "dram", "CPU dram", "counter", 1e-6, 65532610987)
    assert {reading.time for reading in readings} == {1000.0}


def test_a_counter_is_read_anew_each_time(tree: PowercapTree) -> None:
    zone = tree.zone("0", "package-0", 100)
    sensor = rapl.probe(clock, tree.root).sensor
    assert [reading.energy_counter for reading in sensor.read()] == [100]
    tree.set(zone, 7)
    assert [reading.energy_counter for reading in sensor.read()] == [7], "a wrap is the ledger's to see"


def test_zones_that_are_listed_only_under_their_package_are_found(tree: PowercapTree) -> None:
    package = tree.zone("0", "package-0", 100)
    nested = PowercapTree(package)
    nested.zone("0:0", "dram", 30)
    found = {device.uuid for device in rapl.probe(clock, tree.root).devices}
    assert found == {"rapl:package-0:0", "rapl:dram:0:0"}


def test_a_die_that_mirrors_anothers_counter_is_counted_once(tree: PowercapTree) -> None:
    tree.zone("0", "package-0-die-0", 4242)
    tree.zone("1", "package-0-die-1", 4242)
    tree.zone("2", "package-1-die-0", 9999)
    found = [device.uuid for device in rapl.probe(clock, tree.root).devices]
    assert found == ["rapl:package-0-die-0:0", "rapl:package-1-die-0:2"]


def test_no_tree_is_no_sensor(tmp_path: Path) -> None:
    probe = rapl.probe(clock, tmp_path / "missing")
    assert not probe.found
    assert probe.sensor.read() == []
    assert "no package zone" in str(probe.problem)


def test_a_counter_that_may_not_be_read_is_told_with_the_remedy(tree: PowercapTree) -> None:
    zone = tree.zone("0", "package-0", 100)
    (zone / "energy_uj").unlink()
    (zone / "energy_uj").mkdir()  # unreadable for root too, who runs the tests in a container
    probe = rapl.probe(clock, tree.root)
    assert not probe.found
    assert probe.problem == f"{zone}/energy_uj: not readable by this user"
    assert f"chmod a+r {tree.root}/intel-rapl:*/energy_uj" in str(probe.remedy)
    assert "/etc/udev/rules.d/" in str(probe.remedy)


def test_a_zone_that_fails_later_is_told_once_and_the_others_are_read(
    tree: PowercapTree, caplog: pytest.LogCaptureFixture
) -> None:
    tree.zone("0", "package-0", 100)
    lost = tree.zone("1", "package-1", 200)
    sensor = rapl.probe(clock, tree.root).sensor
    (lost / "energy_uj").unlink()
    with caplog.at_level(logging.WARNING, "trimtab"):
        for _ in range(3):
            assert [reading.device.uuid for reading in sensor.read()] == ["rapl:package-0:0"]
    assert len(caplog.records) == 1
    assert "rapl:package-1:1: cannot be read any more" in caplog.text


def test_when_every_zone_fails_the_sensor_says_so(tree: PowercapTree) -> None:
    zone = tree.zone("0", "package-0", 100)
    sensor = rapl.probe(clock, tree.root).sensor
    (zone / "energy_uj").write_text("no number")
    with pytest.raises(SensorError, match="none of 1 zones can be read any more"):
        sensor.read()


# --- the model of the host
# --------------------------------------------------------------------------------------


def host_sensor(*times: CpuTimes) -> host_model.HostModelSensor:
    told_times = iter(times)
    sensor = host_model.probe(clock, cpus=16, cpu_times=lambda: next(told_times)).sensor
    assert isinstance(sensor, host_model.HostModelSensor)
    return sensor


def test_the_modelled_power_is_the_mean_since_the_reading_before() -> None:
    sensor = host_sensor(CpuTimes(100, 1000), CpuTimes(108, 1016), CpuTimes(108, 1032), CpuTimes(124, 1048))
    readings = [reading for _ in range(3) for reading in sensor.read()]
    assert [reading.util for reading in readings] == [0.5, 0.0, 1.0]
    assert [reading.power_w for reading in readings] == pytest.approx([38.4, 12.8, 64.0])


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


# --- together
# ---------------------------------------------------------------------------------------------------


def test_the_model_is_for_hosts_whose_cpus_nothing_measures() -> None:
    gpu = nvml.probe(clock, None, Nvml([Board("GPU-a")]), {})
    module = nvml.probe(clock, None, Nvml([Board("GPU-a", "NVIDIA GH200 480GB")]), {})
    package = Probe(NoSensor("rapl"), (DeviceInfo("rapl:package-0:0", "package", "CPU", "counter"),))
    nothing = Probe(NoSensor("rapl"), problem="not readable")
    assert not sensors.measures_cpus([gpu, nothing])
    assert sensors.measures_cpus([gpu, package])
    assert sensors.measures_cpus([module, nothing])


def test_what_is_found_can_be_read() -> None:
    found = sensors.find_sensors(clock=clock)
    assert found
    assert len({sensor.scope for sensor in found}) == len(found)


def test_every_kind_of_sensor_is_described() -> None:
    described = sensors.describe()
    assert [entry["sensor"] for entry in described][:2] == ["nvml", "rapl"]
    for entry in described:
        assert entry["found"] or entry["problem"]
        assert all(set(device) == {"uuid", "component", "name", "method"} for device in entry["found"])


def times_of(*values: float) -> Callable[[], float]:
    given = iter(values)
    return lambda: next(given)


def test_time_goes_on_when_the_machines_clock_is_set() -> None:
    steady = SteadyClock(wall=times_of(5000.0), elapsed=times_of(10.0, 11.0, 12.5))
    assert [steady(), steady()] == [5001.0, 5002.5]


def test_time_is_unix_time() -> None:
    import time

    before = time.time()
    assert before - 1 < SteadyClock()() < before + 60
