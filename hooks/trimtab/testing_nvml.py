"""A double of the module pynvml, over made-up boards: the calls that the sensors make, without a driver.

A value of None is one that a board does not tell. Values may be changed while a test runs.
"""

# ruff: noqa: N802, D102 (the names, and the meanings, are pynvml's)

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from types import SimpleNamespace
from typing import Any, Final

UNINITIALIZED: Final = 1
INVALID_ARGUMENT: Final = 2
NOT_SUPPORTED: Final = 3
NOT_FOUND: Final = 6
TIMEOUT: Final = 10
GPU_IS_LOST: Final = 15


class NvmlError(Exception):
    """What the driver answers where it cannot do what it is asked; `value` is NVML's code."""

    def __init__(self, value: int, text: str) -> None:
        super().__init__(text)
        self.value = value


@dataclass(slots=True)
class Slice:
    """A MIG slice of a board: a compute instance in a GPU instance."""

    uuid: str
    slices: int
    gpu_instance: int = 1
    compute_instance: int = 0


@dataclass(slots=True)
class Process:
    """A process with a context on a board, and the part of the multiprocessors' time that it takes, in %."""

    pid: int
    sm_percent: int = 0


@dataclass(slots=True)
class Board:
    """A made-up GPU, in NVML's units. `slices` (not None) are those that it is cut into, of `most_slices`."""

    uuid: str
    name: str = "NVIDIA H100 80GB HBM3"
    energy_mj: int | Callable[[], int | None] | None = 5_000_000
    average_mw: int | Callable[[], int | None] | None = 612_000
    instant_mw: int | None = 640_000
    usage_mw: int | None = 611_000
    module_average_mw: int | None = None
    module_instant_mw: int | None = None
    limit_mw: int | None = 700_000
    architecture: int = 9
    slices: list[Slice] | None = None
    most_slices: int = 7
    util: int | None = 87
    used_bytes: int | None = 2**30
    temp_c: int | None = 61
    sm_mhz: int | None = 1_980
    mem_mhz: int | None = 2_619
    throttle_reasons: int | None = 0
    ecc_corrected: int | None = 0
    ecc_uncorrected: int | None = 0
    processes: list[Process] | None = None
    work_at: int = 0
    xids: list[int] | None = field(default_factory=list)
    error: int | None = None

    def tells_nothing(self) -> None:
        """Make it tell neither energy nor power."""
        self.energy_mj = self.average_mw = self.instant_mw = self.usage_mw = None


@dataclass(frozen=True, slots=True)
class Handle:
    """A board, or a slice of it, as of one opening of the driver."""

    board: Board
    opened: int
    slice: Slice | None = None


@dataclass(slots=True)
class Nvml:
    """The driver: `loaded` until it is not. `calls` are the names of the functions that were called."""

    boards: list[Board] = field(default_factory=list)
    loaded: bool = True
    opened: int = 0
    calls: list[str] = field(default_factory=list)

    NVMLError = NvmlError

    def unload(self) -> None:
        """Unload the driver: handles of before are of no use any more."""
        self.loaded = False
        self.opened += 1

    def _call(self, name: str) -> None:
        self.calls.append(name)
        if not self.loaded:
            raise NvmlError(UNINITIALIZED, "Uninitialized")

    def _board(self, name: str, handle: Handle) -> Board:
        self._call(name)
        if handle.opened != self.opened:
            raise NvmlError(INVALID_ARGUMENT, "Invalid Argument")
        if handle.board.error is not None:
            raise NvmlError(handle.board.error, "GPU is lost")
        return handle.board

    # --- the driver ---

    def nvmlInit(self) -> None:
        self.calls.append("nvmlInit")
        if not self.loaded:
            raise NvmlError(9, "Driver Not Loaded")

    def nvmlShutdown(self) -> None:
        self._call("nvmlShutdown")

    def nvmlDeviceGetCount(self) -> int:
        self._call("nvmlDeviceGetCount")
        return len(self.boards)

    def nvmlDeviceGetHandleByIndex(self, index: int) -> Handle:
        self._call("nvmlDeviceGetHandleByIndex")
        return Handle(self.boards[index], self.opened)

    def nvmlDeviceGetHandleByUUID(self, uuid: str) -> Handle:
        self._call("nvmlDeviceGetHandleByUUID")
        for board in self.boards:
            if board.uuid == uuid and board.error is None:
                return Handle(board, self.opened)
        raise NvmlError(NOT_FOUND, "Not Found")

    # --- what a board is ---

    def nvmlDeviceGetName(self, handle: Handle) -> str:
        return self._board("nvmlDeviceGetName", handle).name

    def nvmlDeviceGetUUID(self, handle: Handle) -> str:
        board = self._board("nvmlDeviceGetUUID", handle)
        return board.uuid if handle.slice is None else handle.slice.uuid

    def nvmlDeviceGetArchitecture(self, handle: Handle) -> int:
        return self._board("nvmlDeviceGetArchitecture", handle).architecture

    def nvmlDeviceGetMigMode(self, handle: Handle) -> list[int]:
        cut = int(self._board("nvmlDeviceGetMigMode", handle).slices is not None)
        return [cut, cut]

    def nvmlDeviceGetMaxMigDeviceCount(self, handle: Handle) -> int:
        return self._board("nvmlDeviceGetMaxMigDeviceCount", handle).most_slices

    def nvmlDeviceGetMigDeviceHandleByIndex(self, handle: Handle, index: int) -> Handle:
        slices = self._board("nvmlDeviceGetMigDeviceHandleByIndex", handle).slices or []
        if index >= len(slices):
            raise NvmlError(NOT_FOUND, "Not Found")
        return Handle(handle.board, self.opened, slices[index])

    def nvmlDeviceGetGpuInstanceId(self, handle: Handle) -> int:
        return _slice(handle).gpu_instance

    def nvmlDeviceGetComputeInstanceId(self, handle: Handle) -> int:
        return _slice(handle).compute_instance

    def nvmlDeviceGetAttributes_v2(self, handle: Handle) -> Any:
        return SimpleNamespace(computeInstanceSliceCount=_slice(handle).slices)

    # --- energy and power ---

    def nvmlDeviceGetTotalEnergyConsumption(self, handle: Handle) -> int:
        return told(_now(self._board("nvmlDeviceGetTotalEnergyConsumption", handle).energy_mj))

    def nvmlDeviceGetPowerUsage(self, handle: Handle) -> int:
        return told(self._board("nvmlDeviceGetPowerUsage", handle).usage_mw)

    def nvmlDeviceGetEnforcedPowerLimit(self, handle: Handle) -> int:
        return told(self._board("nvmlDeviceGetEnforcedPowerLimit", handle).limit_mw)

    def nvmlDeviceGetFieldValues(self, handle: Handle, fields: list[tuple[int, int]]) -> list[Any]:
        board = self._board("nvmlDeviceGetFieldValues", handle)
        known = {
            (185, 0): _now(board.average_mw),
            (186, 0): board.instant_mw,
            (185, 1): board.module_average_mw,
            (186, 1): board.module_instant_mw,
        }
        return [_field_value(known[field]) for field in fields]

    # --- how it fares ---

    def nvmlDeviceGetUtilizationRates(self, handle: Handle) -> Any:
        return SimpleNamespace(gpu=told(self._board("nvmlDeviceGetUtilizationRates", handle).util))

    def nvmlDeviceGetMemoryInfo(self, handle: Handle) -> Any:
        return SimpleNamespace(used=told(self._board("nvmlDeviceGetMemoryInfo", handle).used_bytes))

    def nvmlDeviceGetTemperature(self, handle: Handle, sensor: int) -> int:
        assert sensor == 0, "the GPU's own"
        return told(self._board("nvmlDeviceGetTemperature", handle).temp_c)

    def nvmlDeviceGetClockInfo(self, handle: Handle, clock: int) -> int:
        board = self._board("nvmlDeviceGetClockInfo", handle)
        return told({1: board.sm_mhz, 2: board.mem_mhz}[clock])

    def nvmlDeviceGetCurrentClocksThrottleReasons(self, handle: Handle) -> int:
        return told(self._board("nvmlDeviceGetCurrentClocksThrottleReasons", handle).throttle_reasons)

    def nvmlDeviceGetTotalEccErrors(self, handle: Handle, kind: int, counter: int) -> int:
        assert counter == 0, "those since the driver was loaded"
        board = self._board("nvmlDeviceGetTotalEccErrors", handle)
        return told((board.ecc_corrected, board.ecc_uncorrected)[kind])

    # --- processes ---

    def nvmlDeviceGetComputeRunningProcesses_v3(self, handle: Handle) -> list[Any]:
        processes = self._board("nvmlDeviceGetComputeRunningProcesses_v3", handle).processes
        if processes is None:
            raise NvmlError(NOT_SUPPORTED, "Not Supported")
        return [SimpleNamespace(pid=process.pid) for process in processes]

    def nvmlDeviceGetProcessUtilization(self, handle: Handle, since: int) -> list[Any]:
        board = self._board("nvmlDeviceGetProcessUtilization", handle)
        if board.work_at <= since:
            raise NvmlError(NOT_FOUND, "Not Found")
        return [
            SimpleNamespace(pid=process.pid, timeStamp=board.work_at, smUtil=process.sm_percent)
            for process in board.processes or ()
        ]

    # --- events ---

    def nvmlEventSetCreate(self) -> list[Board]:
        self._call("nvmlEventSetCreate")
        return []

    def nvmlDeviceGetSupportedEventTypes(self, handle: Handle) -> int:
        return 0x1F if self._board("nvmlDeviceGetSupportedEventTypes", handle).xids is not None else 0

    def nvmlDeviceRegisterEvents(self, handle: Handle, types: int, events: list[Board]) -> None:
        assert types == 0x8, "XIDs"
        events.append(self._board("nvmlDeviceRegisterEvents", handle))

    def nvmlEventSetWait_v2(self, events: list[Board], timeout_ms: int) -> Any:
        assert timeout_ms < 10, "nobody waits"
        self._call("nvmlEventSetWait_v2")
        for xids in (board.xids for board in events):
            if xids:
                return SimpleNamespace(eventData=xids.pop(0))
        raise NvmlError(TIMEOUT, "Timeout")

    def nvmlEventSetFree(self, events: list[Board]) -> None:
        self._call("nvmlEventSetFree")
        events.clear()


def told(value: int | None) -> int:
    """Return a value, or answer as a board does that cannot tell it."""
    if value is None:
        raise NvmlError(NOT_SUPPORTED, "Not Supported")
    return value


def _now(value: int | Callable[[], int | None] | None) -> int | None:
    return value() if callable(value) else value


def _slice(handle: Handle) -> Slice:
    assert handle.slice is not None, "a whole board is asked what only a slice has"
    return handle.slice


def _field_value(milliwatts: int | None) -> Any:
    code = NOT_SUPPORTED if milliwatts is None else 0
    return SimpleNamespace(nvmlReturn=code, value=SimpleNamespace(uiVal=milliwatts))
