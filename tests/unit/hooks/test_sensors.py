"""What the sensors read, from trees and drivers made up for the test."""

from __future__ import annotations

import logging
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from trimtab import sensors
from trimtab.sensors import NoSensor, Probe, SensorError, SteadyClock, host_model, nvml, rapl
from trimtab.sensors.host_model import CpuTimes
from trimtab.sensors.reading import DeviceInfo


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


# --- NVML
# -------------------------------------------------------------------------------------------------------


class NvmlError(Exception):
    """What the driver answers where a board cannot do what it is asked."""


@dataclass
class Board:
    """A made-up GPU; a value of None is one that it does not tell."""

    uuid: str
    name: str = "NVIDIA H100 80GB HBM3"
    energy_mj: int | None = 5_000_000
    average_mw: int | None = 612_000
    instant_mw: int | None = 640_000
    usage_mw: int | None = 611_000
    architecture: int = 9
    mig: bool = False
    util: int | None = 87
    used_bytes: int | None = 2**30
    temp_c: int | None = 61


@dataclass
class Nvml:
    """The calls of pynvml that are used, over made-up boards."""

    boards: list[Board] = field(default_factory=list)
    installed: bool = True

    NVMLError = NvmlError
    NVML_SUCCESS = 0
    NVML_TEMPERATURE_GPU = 0
    NVML_DEVICE_MIG_ENABLE = 1
    NVML_DEVICE_ARCH_AMPERE = 7
    NVML_FI_DEV_POWER_AVERAGE = 185
    NVML_FI_DEV_POWER_INSTANT = 186
    NVML_POWER_SCOPE_GPU = 0

    def nvmlInit(self) -> None:  # noqa: N802
        if not self.installed:
            raise NvmlError("NVML Shared Library Not Found")

    def nvmlDeviceGetCount(self) -> int:  # noqa: N802
        return len(self.boards)

    def nvmlDeviceGetHandleByIndex(self, index: int) -> Board:  # noqa: N802
        return self.boards[index]

    def nvmlDeviceGetHandleByUUID(self, uuid: str) -> Board:  # noqa: N802
        return next(board for board in self.boards if f"MIG-{board.uuid}" == uuid)

    def nvmlDeviceGetDeviceHandleFromMigDeviceHandle(self, board: Board) -> Board:  # noqa: N802
        return board

    def nvmlDeviceGetName(self, board: Board) -> str:  # noqa: N802
        return board.name

    def nvmlDeviceGetUUID(self, board: Board) -> str:  # noqa: N802
        return board.uuid

    def nvmlDeviceGetMigMode(self, board: Board) -> list[int]:  # noqa: N802
        return [int(board.mig), int(board.mig)]

    def nvmlDeviceGetArchitecture(self, board: Board) -> int:  # noqa: N802
        return board.architecture

    def nvmlDeviceGetTotalEnergyConsumption(self, board: Board) -> int:  # noqa: N802
        return told(board.energy_mj)

    def nvmlDeviceGetPowerUsage(self, board: Board) -> int:  # noqa: N802
        return told(board.usage_mw)

    def nvmlDeviceGetFieldValues(self, board: Board, fields: list[tuple[int, int]]) -> list[Any]:  # noqa: N802
        ((number, scope),) = fields
        assert scope == self.NVML_POWER_SCOPE_GPU
        value = {185: board.average_mw, 186: board.instant_mw}[number]
        return [SimpleNamespace(nvmlReturn=3 if value is None else 0, value=SimpleNamespace(uiVal=value))]

    def nvmlDeviceGetUtilizationRates(self, board: Board) -> Any:  # noqa: N802
        return SimpleNamespace(gpu=told(board.util))

    def nvmlDeviceGetMemoryInfo(self, board: Board) -> Any:  # noqa: N802
        return SimpleNamespace(used=told(board.used_bytes))

    def nvmlDeviceGetTemperature(self, board: Board, sensor: int) -> int:  # noqa: N802
        assert sensor == self.NVML_TEMPERATURE_GPU
        return told(board.temp_c)


def told(value: int | None) -> int:
    if value is None:
        raise NvmlError("Not Supported")
    return value


def probe_boards(*boards: Board, visible: str | None = None) -> Probe:
    environ = {} if visible is None else {"CUDA_VISIBLE_DEVICES": visible}
    return nvml.probe(clock, Nvml(list(boards)), environ)


def test_a_board_is_read_by_its_counter_with_its_power_beside_it() -> None:
    (reading,) = probe_boards(Board("GPU-a")).sensor.read()
    assert reading.device == DeviceInfo("GPU-a", "gpu", "NVIDIA H100 80GB HBM3", "counter", 1e-3, None)
    assert (reading.time, reading.energy_counter, reading.power_w) == (1000.0, 5_000_000, 612.0)
    assert (reading.util, reading.mem_used_bytes, reading.temp_c) == (0.87, 2.0**30, 61.0)


@pytest.mark.parametrize(
    ("board", "method", "power_w"),
    [
        (Board("a", energy_mj=None), "power_average", 612.0),
        (Board("b", energy_mj=None, average_mw=None), "power_instant", 640.0),
        (Board("c", energy_mj=None, average_mw=0), "power_instant", 640.0),
        (Board("d", energy_mj=None, average_mw=None, instant_mw=None), "power_average", 611.0),
        (Board("e", "NVIDIA A100-SXM4-80GB", None, None, None, architecture=7), "power_instant", 611.0),
        (Board("f", "NVIDIA RTX A6000", None, None, None, architecture=7), "power_average", 611.0),
        (Board("g", "Tesla V100-SXM2-32GB", None, None, None, architecture=5), "power_instant", 611.0),
    ],
)
def test_without_a_counter_the_best_power_is_read_and_named(
    board: Board, method: str, power_w: float
) -> None:
    sensor = probe_boards(board).sensor
    (reading,) = sensor.read()
    assert (reading.device.method, reading.power_w, reading.energy_counter) == (method, power_w, None)
    assert reading.device.counter_unit_j is None
    assert sensor.draw_times == (method == "power_instant")


def test_what_a_board_does_not_tell_is_none_and_not_zero() -> None:
    (reading,) = probe_boards(Board("GPU-a", util=None, used_bytes=None, temp_c=None)).sensor.read()
    assert (reading.util, reading.mem_used_bytes, reading.temp_c) == (None, None, None)


def test_the_counter_of_a_grace_hopper_is_that_of_the_module() -> None:
    (device,) = probe_boards(Board("GPU-a", "NVIDIA GH200 480GB")).devices
    assert device.component == "module"


@pytest.mark.parametrize(
    ("visible", "uuids"),
    [
        (None, ["GPU-a1", "GPU-b2", "GPU-c3"]),
        ("0,2", ["GPU-a1", "GPU-c3"]),
        ("GPU-c3, GPU-b", ["GPU-c3", "GPU-b2"]),
        ("1,-1,2", ["GPU-b2"]),
        ("1,9,2", ["GPU-b2"]),
        ("", []),
        ("NoDevFiles", []),
    ],
)
def test_the_boards_that_the_job_may_use_are_read(visible: str | None, uuids: list[str]) -> None:
    boards = Board("GPU-a1"), Board("GPU-b2"), Board("GPU-c3")
    assert [device.uuid for device in probe_boards(*boards, visible=visible).devices] == uuids


def test_ranks_with_other_boards_have_other_scopes() -> None:
    boards = Board("GPU-a1"), Board("GPU-b2")
    scopes = [probe_boards(*boards, visible=visible).sensor.scope for visible in ("0", "1", "0,1", "1,0")]
    assert len(set(scopes)) == 3
    assert scopes[2] == scopes[3]


@pytest.mark.parametrize("visible", [None, "MIG-GPU-a"])
def test_a_board_in_slices_is_left_out(visible: str | None) -> None:
    probe = probe_boards(Board("GPU-a", mig=True), visible=visible)
    assert not probe.found
    assert "MIG slices" in str(probe.problem)


def test_a_board_that_tells_nothing_is_named() -> None:
    silent = Board("GPU-s", "GeForce GT 710", None, None, None, None)
    probe = probe_boards(Board("GPU-a"), silent)
    assert [device.uuid for device in probe.devices] == ["GPU-a"]
    assert probe.problem == "GeForce GT 710 (GPU-s) tells neither energy nor power"


def test_a_board_that_is_lost_is_told_once_and_the_others_are_read(caplog: pytest.LogCaptureFixture) -> None:
    lost = Board("GPU-b")
    sensor = probe_boards(Board("GPU-a"), lost).sensor
    lost.energy_mj = lost.average_mw = None
    for _ in range(3):
        assert [reading.device.uuid for reading in sensor.read()] == ["GPU-a"]
    assert len(caplog.records) == 1
    assert "GPU-b" in caplog.text


def test_a_counter_that_stops_answering_leaves_the_power(caplog: pytest.LogCaptureFixture) -> None:
    board = Board("GPU-a")
    sensor = probe_boards(board).sensor
    board.energy_mj = None
    (reading,) = sensor.read()
    assert (reading.energy_counter, reading.power_w) == (None, 612.0)
    assert caplog.records == []


def test_when_every_board_is_lost_the_sensor_says_so() -> None:
    board = Board("GPU-a")
    sensor = probe_boards(board).sensor
    board.energy_mj = board.average_mw = None
    with pytest.raises(SensorError, match="none of 1 boards"):
        sensor.read()


def test_without_a_driver_there_is_no_sensor_and_a_remedy() -> None:
    probe = nvml.probe(clock, Nvml(installed=False), {})
    assert not probe.found
    assert probe.problem == "NVML: NVML Shared Library Not Found"
    assert "nvidia-smi" in str(probe.remedy)


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
    gpu = probe_boards(Board("GPU-a"))
    module = probe_boards(Board("GPU-a", "NVIDIA GH200 480GB"))
    package = Probe(NoSensor("rapl"), (DeviceInfo("rapl:package-0:0", "package", "CPU", "counter"),))
    nothing = Probe(NoSensor("rapl"), problem="not readable")
    assert not sensors.measures_cpus([gpu, nothing])
    assert sensors.measures_cpus([gpu, package])
    assert sensors.measures_cpus([module, nothing])


def test_what_is_found_can_be_read() -> None:
    found = sensors.find_sensors(clock)
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
