"""The NVIDIA sensor through pynvml and a make-believe driver of C, whose boards' true energy is known."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from energy_bench.board import Board, Event, NvmlFailure, ecc, outage, process, reset, throttle, xid
from energy_bench.driver import (
    SCRIPT,
    NoCompilerError,
    Script,
    VirtualClock,
    build_driver,
    environment,
    load_pynvml,
)
from energy_bench.trace import steps
from trimtab.sensors import Reading, SensorError
from trimtab.sensors.nvidia import nvml
from trimtab.sensors.reading import EdgeSensor, FaultSensor, Probe
from trimtab.sensors.share.members import Members

POWER = steps((10.0, 100.0), (10.0, 700.0), (10.0, 100.0))


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> Path:
    try:
        return build_driver(tmp_path_factory.mktemp("driver"))
    except NoCompilerError as error:
        pytest.skip(str(error))


@dataclass
class Machine:
    library: Path
    folder: Path
    clock: VirtualClock
    patch: pytest.MonkeyPatch
    scripts: int = 0

    def probe(self, *boards: Board, members: Members | None = None, visible: str | None = None) -> Probe:
        self.scripts += 1
        script = Script(boards, 0.0, self.clock).write(self.folder / f"script-{self.scripts}")
        self.patch.setenv(SCRIPT, str(script))  # read by the library whenever it is opened
        environ = {} if visible is None else {"CUDA_VISIBLE_DEVICES": visible}
        return nvml.probe(self.clock, members, load_pynvml(self.library), environ, self.clock.sleep)

    def read(self, probe: Probe, at_s: float, number: int = 0) -> Reading:
        self.clock.set(at_s)
        (reading,) = probe.sensors[number].read()
        return reading


@pytest.fixture
def machine(library: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Machine]:
    with VirtualClock(tmp_path / "clock") as clock:
        yield Machine(library, tmp_path, clock, monkeypatch)


def board(*events: Event, uuid: str = "GPU-a") -> Board:
    return Board(uuid, POWER, events)


def test_all_that_a_board_tells_is_read(machine: Machine) -> None:
    reading = machine.read(machine.probe(board(throttle(0, 99, 0x4), ecc(0, 99, 3, corrected=True))), 15.0)
    assert (reading.device.uuid, reading.device.method, reading.device.power_limit_w) == (
        "GPU-a",
        "counter",
        700.0,
    )
    assert reading.energy_counter is not None
    assert reading.power_w == pytest.approx(700.0)
    assert {reading.util, reading.mem_used_bytes, reading.temp_c} != {None}
    assert (reading.gauges["throttle_reasons"], reading.gauges["ecc_corrected_errors"]) == (4.0, 3.0)
    assert reading.gauges["sm_clock_mhz"] > 0


def test_the_edges_of_a_run_are_at_renewals_of_the_counter(machine: Machine) -> None:
    (sensor,) = machine.probe(board()).sensors
    assert isinstance(sensor, EdgeSensor)
    machine.clock.set(5.0)
    first = sensor.read_first()[0]
    machine.clock.set(15.0)
    before, after = sensor.read_last()
    assert first.time == pytest.approx(5.037, abs=0.004)
    assert (before.time, after.time) == pytest.approx((14.937, 15.037), abs=0.008)
    assert before.energy_counter is not None
    assert first.energy_counter is not None
    counted_j = (before.energy_counter - first.energy_counter) / 1000
    assert counted_j == pytest.approx(POWER.energy_j(first.time, before.time), abs=700 * 0.012)
    assert after.power_w == pytest.approx(700.0)


@pytest.mark.parametrize("needs_init", [False, True])
def test_after_a_reload_of_the_driver_a_board_is_read_again(machine: Machine, needs_init: bool) -> None:
    probe = machine.probe(board(reset(12.0, 13.0, needs_init=needs_init)))
    before = machine.read(probe, 11.9)
    (sensor,) = probe.sensors
    told_s, at_s = [], 12.0
    while at_s < 20.0:
        machine.clock.set(at_s)
        try:
            after = sensor.read()[0]
            told_s.append(at_s)
        except SensorError:
            pass
        at_s = machine.clock() + (sensor.period_s or 1.0)
    assert 13.0 <= told_s[0] < 15.5
    assert before.energy_counter is not None
    assert after.energy_counter is not None
    assert after.energy_counter < before.energy_counter


def test_a_board_that_is_lost_leaves_the_others(machine: Machine) -> None:
    lost = outage(12.0, 99.0, NvmlFailure.GPU_IS_LOST)
    probe = machine.probe(board(lost), board(uuid="GPU-b"))
    with pytest.raises(SensorError, match="GPU-a"):
        machine.read(probe, 13.0, 0)
    assert machine.read(probe, 13.0, 1).energy_counter is not None


def test_errors_are_heard(machine: Machine) -> None:
    (sensor,) = machine.probe(board(xid(12.0, 79), ecc(12.5, 99, 2, corrected=False))).sensors
    assert isinstance(sensor, FaultSensor)
    heard = []
    for at_s in (11.0, 13.0, 18.0):
        machine.clock.set(at_s)
        sensor.read()
        heard.append([(fault.xid, fault.ecc_uncorrected_errors) for fault in sensor.take_faults()])
    assert heard[0] == []
    assert sorted(heard[1] + heard[2], key=str) == [(79, None), (None, 2)]


def test_a_board_that_others_use_too_is_shared(machine: Machine, tmp_path: Path) -> None:
    members = Members("r1", "boot", tmp_path)
    members.join()
    ours, theirs = process(0, 99, os.getpid(), 60, 2**30), process(0, 99, 2**22 + 1, 20, 2**30)
    reading = machine.read(machine.probe(board(ours, theirs), members=members), 15.0)
    members.leave()
    assert (reading.used_share, reading.held_share) == (0.75, 0.5)


def test_a_slice_is_a_part_of_its_board(machine: Machine) -> None:
    slices = {"MIG-11111111-2222-3333-4444-555555555555": 3, "MIG-66666666-7777-8888-9999-aaaaaaaaaaaa": 2}
    cut = Board("GPU-a", POWER, name="NVIDIA A100-SXM4-80GB", architecture=7, slices=slices)
    for uuid, sevenths in slices.items():
        reading = machine.read(machine.probe(cut, visible=uuid), 15.0)
        assert (reading.device.uuid, reading.held_share) == ("GPU-a", sevenths / 7)
        assert reading.energy_counter is not None


@pytest.mark.parametrize("source", ["raise ImportError", "raise RuntimeError('too old')", "a line of"])
def test_a_pynvml_that_cannot_be_imported_is_told_and_hides_no_other_sensor(
    library: Path, tmp_path: Path, source: str
) -> None:
    (tmp_path / "pynvml.py").write_text(f"{source}\n")
    script = Script([board()]).write(tmp_path / "script")
    code = "from trimtab.sensors import describe; print([(d['sensor'], d['problem']) for d in describe()])"
    environ = {**os.environ, **environment(library, script), "PYTHONPATH": str(tmp_path)}
    command = [sys.executable, "-c", code]
    told = subprocess.run(command, env=environ, capture_output=True, text=True, check=True)
    assert "('nvml', 'the module pynvml is not installed, or broken'), ('amd'" in told.stdout
