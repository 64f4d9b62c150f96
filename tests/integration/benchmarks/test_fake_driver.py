"""The make-believe driver says what its script says, through NVIDIA's own Python module."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from energy_bench.board import (
    Board,
    average_board,
    ecc,
    instant_board,
    lost,
    nonsense_counter,
    nonsense_power,
    outage,
    process,
    reset,
    slow,
    throttle,
    wrong_rate,
    xid,
)
from energy_bench.driver import SCRIPT, Script, VirtualClock, environment, load_pynvml
from energy_bench.trace import steps, wave

STEP = steps((10.0, 100.0), (10.0, 700.0))


@dataclass(frozen=True, slots=True)
class Bench:
    """NVIDIA's module on the make-believe driver, with the clock of both."""

    nvml: Any
    clock: VirtualClock

    def handle(self, index: int = 0) -> Any:
        return self.nvml.nvmlDeviceGetHandleByIndex(index)

    def counter(self, at: float, index: int = 0) -> int:
        self.clock.set(at)
        return int(self.nvml.nvmlDeviceGetTotalEnergyConsumption(self.handle(index)))

    def watts(self, at: float, index: int = 0) -> float:
        self.clock.set(at)
        return float(self.nvml.nvmlDeviceGetPowerUsage(self.handle(index))) / 1e3

    def field(self, field: int, at: float, scope: int = 0) -> Any:
        self.clock.set(at)
        return self.nvml.nvmlDeviceGetFieldValues(self.handle(), [(field, scope)])[0]


@pytest.fixture
def bench(
    driver_library: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Callable[..., Bench]]:
    clock = VirtualClock(tmp_path / "clock")
    nvml = load_pynvml(driver_library)

    def play(*boards: Board) -> Bench:
        monkeypatch.setenv(SCRIPT, str(Script(boards, clock=clock).write(tmp_path / "script")))
        nvml.nvmlInit()
        return Bench(nvml, clock)

    with clock:
        yield play


def test_the_counter_is_the_integral_as_of_the_last_renewal(bench: Callable[..., Bench]) -> None:
    it = bench(Board("GPU-a", STEP, phase_s=0.04, initial_j=5.0))

    assert it.counter(-0.05) == 5_000 - 60 * 60
    assert it.counter(10.0) == pytest.approx(5_000 + 1e3 * STEP.energy_j(0, 9.94), abs=1)
    assert (
        it.counter(10.13) == it.counter(10.05) == pytest.approx(5_000 + 1e3 * STEP.energy_j(0, 10.04), abs=1)
    )
    assert it.counter(10.15) == pytest.approx(5_000 + 1e3 * STEP.energy_j(0, 10.14), abs=1)


def test_power_is_averaged_over_a_second_or_read_in_a_window(bench: Callable[..., Bench]) -> None:
    it = bench(Board("GPU-a", STEP, phase_s=0.0), instant_board("GPU-b", wave(20.0, 0.1, 0.5, 600.0, 200.0)))

    assert it.watts(10.55) == pytest.approx(0.5 * 100 + 0.5 * 700)
    assert it.field(it.nvml.NVML_FI_DEV_POWER_AVERAGE, 10.55).value.uiVal == 400_000
    assert it.field(it.nvml.NVML_FI_DEV_POWER_INSTANT, 10.15).value.uiVal == 700_000
    assert {it.watts(5 + i * 0.013, index=1) for i in range(50)} == {600.0}


def test_boards_tell_what_their_kind_can(bench: Callable[..., Bench]) -> None:
    it = bench(average_board("GPU-a", STEP), instant_board("GPU-b", STEP))

    for index in (0, 1):
        with pytest.raises(it.nvml.NVMLError_NotSupported):
            it.counter(5.0, index)
    assert it.field(it.nvml.NVML_FI_DEV_POWER_AVERAGE, 5.0).nvmlReturn == 0
    assert it.field(it.nvml.NVML_FI_DEV_POWER_INSTANT, 5.0).nvmlReturn == it.nvml.NVML_ERROR_NOT_SUPPORTED
    assert it.field(it.nvml.NVML_FI_DEV_POWER_AVERAGE, 5.0, 1).nvmlReturn == it.nvml.NVML_ERROR_NOT_SUPPORTED


def test_a_reset_begins_the_counter_anew(bench: Callable[..., Bench]) -> None:
    it = bench(Board("GPU-a", STEP, (reset(12.0, 13.0, 12.5),), phase_s=0.0))

    assert it.counter(11.99) > 1e9
    with pytest.raises(it.nvml.NVMLError):
        it.counter(12.5)
    assert it.counter(13.01) == pytest.approx(0.5 * 700e3, abs=1)


def test_after_a_reload_only_a_new_beginning_helps(bench: Callable[..., Bench]) -> None:
    it = bench(Board("GPU-a", STEP, (reset(12.0, 13.0, needs_init=True),), phase_s=0.0))

    it.clock.set(12.5)
    with pytest.raises(it.nvml.NVMLError_DriverNotLoaded):
        it.nvml.nvmlInit()
    with pytest.raises(it.nvml.NVMLError_Uninitialized):
        it.counter(14.01)
    it.nvml.nvmlInit()
    assert it.counter(14.01) == pytest.approx(700e3, abs=1)


def test_outages_nonsense_and_a_wrong_rate(bench: Callable[..., Bench]) -> None:
    it = bench(
        Board("GPU-a", STEP, (outage(2.0, 3.0), lost(9.0))),
        Board("GPU-b", STEP, (nonsense_counter(2.0, 3.0, 2**63), nonsense_power(4.0, 5.0, 4_000_000))),
        Board("GPU-c", STEP, (wrong_rate(0.0, 1e9, 0.5),), initial_j=0.0, phase_s=0.0),
    )

    with pytest.raises(it.nvml.NVMLError_Unknown):
        it.counter(2.5)
    assert it.counter(3.1) > 1e9
    with pytest.raises(it.nvml.NVMLError_GpuIsLost):
        it.counter(1e6)
    assert (it.counter(2.5, 1), it.watts(4.5, 1)) == (2**63, 4000.0)
    assert it.counter(10.01, 2) == pytest.approx(500e3, abs=1)


def test_slow_calls_take_the_time_of_the_clock(bench: Callable[..., Bench]) -> None:
    it = bench(Board("GPU-a", STEP, (slow(5.0, 6.0, 0.1, "nvmlDeviceGetPowerUsage"),)))

    it.counter(5.0)
    assert it.clock() == 5.0
    it.watts(5.0)
    assert it.clock() == pytest.approx(5.1)


def test_errors_throttling_and_events(bench: Callable[..., Bench]) -> None:
    it = bench(
        Board("GPU-a", STEP),
        Board("GPU-b", STEP, (ecc(3.0, 9e9, 2, corrected=False), throttle(4.0, 5.0, 0x40), xid(6.0, 79))),
    )
    nvml, board = it.nvml, it.handle(1)
    events = nvml.nvmlEventSetCreate()
    nvml.nvmlDeviceRegisterEvents(board, nvml.nvmlEventTypeXidCriticalError, events)

    it.clock.set(4.5)
    assert nvml.nvmlDeviceGetTotalEccErrors(board, nvml.NVML_MEMORY_ERROR_TYPE_UNCORRECTED, 0) == 2
    assert nvml.nvmlDeviceGetTotalEccErrors(board, nvml.NVML_MEMORY_ERROR_TYPE_CORRECTED, 0) == 0
    assert nvml.nvmlDeviceGetCurrentClocksEventReasons(board) == nvml.nvmlClocksEventReasonHwThermalSlowdown
    with pytest.raises(nvml.NVMLError_Timeout):
        nvml.nvmlEventSetWait_v2(events, 0)
    it.clock.set(6.5)
    told = nvml.nvmlEventSetWait_v2(events, 0)
    assert (told.eventData, nvml.nvmlDeviceGetUUID(told.device)) == (79, "GPU-b")
    with pytest.raises(nvml.NVMLError_Timeout):
        nvml.nvmlEventSetWait_v2(events, 0)
    nvml.nvmlEventSetFree(events)


def test_who_is_on_a_board(bench: Callable[..., Bench]) -> None:
    it = bench(Board("GPU-a", STEP, (process(0.0, 9.0, 11, 30, 1 << 30), process(5.0, 9.0, 12, 60, 2 << 30))))
    nvml, board = it.nvml, it.handle()

    it.clock.set(1.0)
    assert [(on.pid, on.usedGpuMemory) for on in nvml.nvmlDeviceGetComputeRunningProcesses(board)] == [
        (11, 1 << 30)
    ]
    it.clock.set(6.0)
    assert [(on.pid, on.smUtil) for on in nvml.nvmlDeviceGetProcessUtilization(board, 0)] == [
        (11, 30),
        (12, 60),
    ]
    it.clock.set(9.5)
    assert nvml.nvmlDeviceGetComputeRunningProcesses(board) == []
    with pytest.raises(nvml.NVMLError_NotFound):
        nvml.nvmlDeviceGetProcessUtilization(board, 0)


def test_boards_and_slices_by_name(bench: Callable[..., Bench]) -> None:
    it = bench(
        Board("GPU-a", STEP), Board("GPU-b", STEP, slices={"MIG-1": 3, "MIG-2": 4}, name="NVIDIA A100")
    )
    nvml = it.nvml
    slice_ = nvml.nvmlDeviceGetHandleByUUID("MIG-1")
    parent = nvml.nvmlDeviceGetDeviceHandleFromMigDeviceHandle(slice_)

    assert nvml.nvmlDeviceGetCount() == 2
    assert nvml.nvmlDeviceGetUUID(parent) == nvml.nvmlDeviceGetUUID(nvml.nvmlDeviceGetHandleByUUID("GPU-b"))
    assert nvml.nvmlDeviceGetName(parent) == "NVIDIA A100"
    assert nvml.nvmlDeviceGetMigMode(parent) == [1, 1]
    assert nvml.nvmlDeviceGetMigMode(it.handle(0)) == [0, 0]
    assert nvml.nvmlDeviceGetAttributes(slice_).gpuInstanceSliceCount == 3
    bus = nvml.nvmlDeviceGetPciInfo(parent).busId
    assert nvml.nvmlDeviceGetUUID(nvml.nvmlDeviceGetHandleByPciBusId(bus)) == "GPU-b"
    with pytest.raises(nvml.NVMLError_NotFound):
        nvml.nvmlDeviceGetHandleByUUID("GPU-c")


def test_a_process_of_its_own_loads_it_as_it_would_the_real_one(driver_library: Path, tmp_path: Path) -> None:
    script = Script([Board("GPU-a", steps((1e9, 300.0)))], start_s=0.0).write(tmp_path / "script")
    code = (
        "import json, pynvml as n; n.nvmlInit(); h = n.nvmlDeviceGetHandleByIndex(0);"
        "print(json.dumps([n.nvmlDeviceGetUUID(h), n.nvmlDeviceGetPowerUsage(h)]))"
    )
    environ = environment(driver_library, script)

    done = subprocess.run(
        [sys.executable, "-c", code], env=environ, capture_output=True, text=True, check=True, cwd=os.sep
    )

    assert json.loads(done.stdout) == ["GPU-a", 300_000]


def test_a_script_that_is_wrong_is_told(
    driver_library: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    wrong = tmp_path / "wrong"
    wrong.write_text("board GPU-a\nwattage 300\n")
    monkeypatch.setenv(SCRIPT, str(wrong))
    nvml = load_pynvml(driver_library)

    with pytest.raises(nvml.NVMLError_DriverNotLoaded):
        nvml.nvmlInit()

    assert "cannot take this line: wattage 300" in capfd.readouterr().err
