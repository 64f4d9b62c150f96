"""What is read of a Jetson's supply, from a tree made up for the test."""

from __future__ import annotations

from pathlib import Path

import pytest

from trimtab.sensors import Probe, SensorError
from trimtab.sensors.nvidia import jetson
from trimtab.sensors.share.cpu_share import Share


@pytest.fixture
def hwmon(tmp_path: Path) -> Path:
    return tmp_path / "hwmon"


def monitor(hwmon: Path, *rails: str, name: str = "ina3221") -> Path:
    folder = hwmon / f"hwmon{len(list(hwmon.glob('*')))}"
    folder.mkdir(parents=True)
    (folder / "name").write_text(f"{name}\n")
    for number, rail in enumerate(rails, start=1):
        (folder / f"in{number}_label").write_text(f"{rail}\n")
        (folder / f"in{number}_input").write_text("5000\n")
        (folder / f"curr{number}_input").write_text(f"{1000 * number}\n")
    (folder / "in7_label").write_text("sum of shunt voltages\n")
    return folder


def probe(hwmon: Path) -> Probe:
    return jetson.probe(lambda: 1000.0, lambda: Share(0.25, 0.5), hwmon)


def test_the_rail_of_the_whole_module_is_read_and_no_other(hwmon: Path) -> None:
    monitor(hwmon, "VDD_OTHER", name="ina219")
    monitor(hwmon, "VDD_CPU_GPU_CV", "VDD_IN", "VDD_SOC")
    found = probe(hwmon)
    (reading,) = found.sensor.read()
    assert (reading.device.component, reading.device.method) == ("module", "power_instant")
    assert reading.time == 1000.0
    assert reading.power_w == pytest.approx(10.0)
    assert (reading.used_share, reading.held_share) == (0.25, 0.5)
    assert (found.sensor.draw_times, found.sensor.period_s) == (True, 0.1)


def test_rails_of_parts_are_not_taken_for_the_module(hwmon: Path) -> None:
    monitor(hwmon, "VDD_GPU_SOC", "VDD_CPU_CV", "VIN_SYS_5V0")
    found = probe(hwmon)
    assert not found.found
    assert found.problem == (
        "no rail for the whole module (VDD_IN), only VDD_CPU_CV, VDD_GPU_SOC, VIN_SYS_5V0"
    )


def test_a_rail_that_fails_is_told(hwmon: Path) -> None:
    folder = monitor(hwmon, "VDD_IN")
    sensor = probe(hwmon).sensor
    (folder / "curr1_input").write_text("")
    with pytest.raises(SensorError, match="in1_input and curr1_input tell no power any more"):
        sensor.read()


def test_another_machine_is_no_jetson(hwmon: Path) -> None:
    assert probe(hwmon).problem == "this is no Jetson"
