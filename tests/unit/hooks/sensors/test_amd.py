"""What is read of AMD's GPUs, over a double of their library."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from importlib.util import find_spec
from pathlib import Path

import pytest

from trimtab.sensors import Probe, SensorError
from trimtab.sensors.amd import library as amd_library
from trimtab.sensors.amd import smi
from trimtab.sensors.amd.visible import visible
from trimtab.sensors.reading import DeviceInfo
from trimtab.testing_amdsmi import AmdGpu, AmdSmi


def probe(*gpus: AmdGpu, nodes: Path = Path("/nowhere"), **environ: str) -> Probe:
    return smi.probe(lambda: 1000.0, AmdSmi(list(gpus)), environ, nodes, lambda: 500.0)


def two_dies(boards: int = 1) -> list[AmdGpu]:
    dies = []
    for place in range(2 * boards):
        tells = place % 2 == 0
        dies.append(
            AmdGpu(
                f"die-{place}",
                "AMD Instinct MI250X",
                energy_count=5_000 if tells else 0,
                current_w=None,
                average_w=300 if tells else 0,
                hip_id=place,
            )
        )
    return dies


def test_a_gpu_is_read_by_its_counter_with_its_power_beside_it() -> None:
    (reading,) = probe(AmdGpu("a")).sensor.read()
    assert reading.device == DeviceInfo(
        "a", "gpu", "AMD Instinct MI300X", "counter", 1.5259e-05, None, power_limit_w=750.0
    )
    assert (reading.energy_counter, reading.power_w) == (1_000_000, 717.0)
    assert (reading.util, reading.mem_used_bytes, reading.temp_c) == (0.87, 2.0**30, 61.0)
    assert reading.gauges == {"sm_clock_mhz": 2100.0}
    assert (reading.used_share, reading.held_share) == (None, None)


@pytest.mark.parametrize(
    ("counted_at_ns", "time"),
    [(499_950_000_000, 999.95), (0, 1000.0), (501_000_000_000, 1000.0), (100_000_000_000, 1000.0)],
)
def test_a_count_is_as_old_as_its_timestamp_says_if_that_makes_sense(counted_at_ns: int, time: float) -> None:
    (reading,) = probe(AmdGpu("a", counted_at_ns=counted_at_ns)).sensor.read()
    assert reading.time == pytest.approx(time)


@pytest.mark.parametrize(
    ("gpu", "method", "power_w"),
    [
        (AmdGpu("a", energy_count=None, average_w=94, current_w=None), "power_average", 94.0),
        (AmdGpu("b", energy_count=0, average_w=94, current_w=100), "power_average", 94.0),
        (AmdGpu("c", energy_count=None), "power_instant", 717.0),
        (AmdGpu("d", energy_count=2**64 - 1), "power_instant", 717.0),
        (AmdGpu("e", energy_count=None, average_w=0xFFFF), "power_instant", 717.0),
    ],
)
def test_without_a_counter_the_best_power_is_read_and_named(gpu: AmdGpu, method: str, power_w: float) -> None:
    sensor = probe(gpu).sensor
    (reading,) = sensor.read()
    assert (reading.device.method, reading.power_w, reading.energy_counter) == (method, power_w, None)
    assert (reading.time, reading.device.counter_unit_j) == (1000.0, None)
    assert sensor.draw_times == (method == "power_instant")


def test_what_a_gpu_does_not_tell_is_none_and_not_zero() -> None:
    silent = AmdGpu("a", busy_percent=None, used_bytes=None, temperature=None, clock_mhz=None, limit_uw=None)
    (reading,) = probe(silent).sensor.read()
    assert (reading.util, reading.mem_used_bytes, reading.temp_c) == (None, None, None)
    assert (reading.gauges, reading.device.power_limit_w) == ({}, None)


def test_degrees_may_be_told_in_thousandths_and_limits_in_watts() -> None:
    (reading,) = probe(AmdGpu("a", temperature=61_000, limit_uw=750)).sensor.read()
    assert (reading.temp_c, reading.device.power_limit_w) == (61.0, 750.0)


def test_the_first_die_of_two_tells_of_both() -> None:
    (reading,) = probe(*two_dies()).sensor.read()
    assert (reading.device.uuid, reading.device.name) == ("die-0", "AMD Instinct MI250X (both dies)")
    assert (reading.power_w, reading.held_share) == (300.0, None)


@pytest.mark.parametrize("die", ["0", "1"])
def test_who_uses_either_die_reads_the_board(die: str) -> None:
    (reading,) = probe(*two_dies(), ROCR_VISIBLE_DEVICES=die).sensor.read()
    assert (reading.device.uuid, reading.held_share) == ("die-0", None), "another rank has the other die"


def test_who_has_one_die_in_its_container_holds_half_of_the_board(tmp_path: Path) -> None:
    dies = two_dies(2)
    for place, die in enumerate(dies):
        die.render_node = 128 + place
    for node in (128, 129, 131):
        (tmp_path / f"renderD{node}").touch()
    readings = [reading for sensor in probe(*dies, nodes=tmp_path).sensors for reading in sensor.read()]
    assert [(reading.device.uuid, reading.held_share) for reading in readings] == [
        ("die-0", None),
        ("die-2", 0.5),
    ]


def test_an_mi300a_is_a_module() -> None:
    (device,) = probe(AmdGpu("a", "AMD Instinct MI300A")).devices
    assert device.component == "module"


def test_a_gpu_that_tells_nothing_is_named() -> None:
    found = probe(AmdGpu("a"), AmdGpu("b", "Radeon", energy_count=None, current_w=None, hip_id=1))
    assert [device.uuid for device in found.devices] == ["a"]
    assert found.problem == "Radeon: tells neither energy nor power"


def test_each_gpu_is_a_sensor_of_its_own_and_says_so_when_it_is_lost() -> None:
    lost = AmdGpu("b", hip_id=1)
    first, second = probe(AmdGpu("a"), lost).sensors
    assert (first.scope, second.scope) == ("amd-a", "amd-b")
    lost.energy_count = lost.current_w = None
    with pytest.raises(SensorError, match=r"MI300X \(b\) tells neither energy nor power any more"):
        second.read()
    assert [reading.device.uuid for reading in first.read()] == ["a"]
    lost.current_w = 300
    assert [reading.power_w for reading in second.read()] == [300.0]


def test_gpus_are_counted_as_hip_counts_them() -> None:
    gpus = AmdGpu("a", hip_id=2, hip_uuid="GPU-aa"), AmdGpu("b", hip_id=0), AmdGpu("c", hip_id=1)
    assert [device.uuid for device in probe(*gpus).devices] == ["b", "c", "a"]
    assert [device.uuid for device in probe(*gpus, HIP_VISIBLE_DEVICES="0").devices] == ["b"]
    assert [device.uuid for device in probe(*gpus, ROCR_VISIBLE_DEVICES="GPU-AA").devices] == ["a"]


def test_without_an_enumeration_the_librarys_order_counts() -> None:
    gpus = AmdGpu("a", hip_id=None), AmdGpu("b", hip_id=None)
    assert [device.uuid for device in probe(*gpus, HIP_VISIBLE_DEVICES="1").devices] == ["b"]


def test_a_container_has_the_gpus_whose_nodes_it_was_given(tmp_path: Path) -> None:
    (tmp_path / "renderD129").touch()
    gpus = AmdGpu("a", hip_id=0, render_node=128), AmdGpu("b", hip_id=1, render_node=129)
    assert [device.uuid for device in probe(*gpus, nodes=tmp_path, HIP_VISIBLE_DEVICES="0").devices] == ["b"]


@pytest.mark.parametrize(
    ("environ", "indices"),
    [
        ({}, [0, 1, 2]),
        ({"ROCR_VISIBLE_DEVICES": "2,0"}, [2, 0]),
        ({"ROCR_VISIBLE_DEVICES": "2,0", "HIP_VISIBLE_DEVICES": "1"}, [0]),
        ({"CUDA_VISIBLE_DEVICES": "1"}, [1]),
        ({"HIP_VISIBLE_DEVICES": "0", "CUDA_VISIBLE_DEVICES": "1"}, [0]),
        ({"HIP_VISIBLE_DEVICES": "1,-1,2"}, [1]),
        ({"HIP_VISIBLE_DEVICES": "1,9,2"}, [1]),
        ({"HIP_VISIBLE_DEVICES": "0, 0 ,1"}, [0, 1]),
        ({"HIP_VISIBLE_DEVICES": ""}, []),
    ],
)
def test_what_a_process_may_use(environ: dict[str, str], indices: list[int]) -> None:
    assert visible(["GPU-a", "", "GPU-c"], environ) == indices


def test_no_gpu_that_is_visible_is_no_sensor() -> None:
    found = probe(AmdGpu("a"), HIP_VISIBLE_DEVICES="")
    assert (found.found, found.hidden) == (False, False)
    assert "HIP_VISIBLE_DEVICES" in str(found.problem)


def test_a_library_without_its_driver_is_told_with_the_remedy() -> None:
    found = smi.probe(lambda: 0.0, AmdSmi(driver=False), {})
    assert (found.found, found.hidden) == (False, True)
    assert found.problem == "AMD SMI: Error code: 32 | AMDSMI_STATUS_NOT_INIT - Device not initialized"
    assert "amd-smi" in str(found.remedy)


@pytest.fixture
def rocm(tmp_path: Path) -> Iterator[Path]:
    """A folder as ROCm is installed in, with its own module."""
    folder = tmp_path / "share" / "amd_smi" / "amdsmi"
    folder.mkdir(parents=True)
    (folder / "__init__.py").write_text("from .inner import VALUE\n")
    (folder / "inner.py").write_text("VALUE = 7\n")
    yield tmp_path
    for name in ("amdsmi", "amdsmi.inner"):
        sys.modules.pop(name, None)


@pytest.mark.skipif(find_spec("amdsmi") is not None, reason="amdsmi is installed here")
def test_rocms_own_module_need_not_be_installed(rocm: Path) -> None:
    environ = {"ROCM_PATH": str(rocm)}
    found = amd_library.find(environ, lambda library: library == f"{rocm}/lib/libamd_smi.so")
    assert found is not None
    assert found.VALUE == 7


def test_a_module_of_another_version_is_none_at_all(rocm: Path) -> None:
    (rocm / "share/amd_smi/amdsmi/inner.py").write_text("raise KeyError('libamd_smi.so')\n")
    assert amd_library.find({"ROCM_PATH": str(rocm)}, lambda _: True) is None
    assert "amdsmi" not in sys.modules


def test_without_the_library_nothing_is_imported(rocm: Path) -> None:
    assert amd_library.find({"ROCM_PATH": str(rocm)}) is None
    assert "amdsmi" not in sys.modules
