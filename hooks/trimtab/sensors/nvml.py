"""NVIDIA GPUs, by NVML (`pip install trimtab[nvidia]`).

Read are the boards that this process may use: those of CUDA_VISIBLE_DEVICES, else all. A board that is held
but idle counts too: nobody else could use it. A board of several MIG slices is left out: its power is that
of all of them, and says nothing about one.

Of the ways to know a board's energy, the best that answers is used and named in `method`: the energy
counter (Volta and newer), the power averaged over a second, the momentary power. The power is sent beside
the counter, so that one can be checked against the other.
"""

from __future__ import annotations

import ctypes
import hashlib
import importlib
import os
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from trimtab.sensors.reading import DeviceInfo, NoSensor, Probe, Reading, SensorError, TellOnce
from trimtab.vocabulary import Component

_JOULES_PER_COUNT: Final = 1e-3
_MODULES: Final = ("GH200", "GB200", "GB300")
"""Boards whose counter is that of the whole module: GPU, CPU and memory."""
_MOMENTARY_AMPERE: Final = ("A100", "A800", "A30")
"""GA100 boards: the only Ampere whose power usage is not averaged over a second."""
_DRIVER: Final = "libnvidia-ml.so.1"
_REMEDY: Final = "pip install trimtab[nvidia] (nvidia-ml-py), and check that nvidia-smi works here"


@dataclass(frozen=True, slots=True)
class _Board:
    handle: Any
    device: DeviceInfo
    power_field: int | None


class NvmlSensor:
    """Reads every board; what a board does not tell is None, and a board that fails is told once."""

    name = "nvml"

    def __init__(self, nvml: Any, boards: list[_Board], clock: Callable[[], float]) -> None:
        names = ",".join(sorted(board.device.uuid for board in boards))
        self.scope = f"nvml-{hashlib.sha256(names.encode()).hexdigest()[:12]}"
        self.draw_times = any(board.device.method == "power_instant" for board in boards)
        self._nvml = nvml
        self._boards = boards
        self._clock = clock
        self._tell = TellOnce()

    def read(self) -> list[Reading]:
        """Read every board once."""
        readings = [self._read(board) for board in self._boards]
        told = [reading for reading in readings if reading is not None]
        if not told:
            raise SensorError(f"nvml: none of {len(self._boards)} boards tells its energy or power any more")
        return told

    def _read(self, board: _Board) -> Reading | None:
        nvml, handle, time = self._nvml, board.handle, self._clock()
        counts = board.device.method == "counter"
        counter = self._ask(nvml.nvmlDeviceGetTotalEnergyConsumption, handle) if counts else None
        power_w = _power_w(nvml, handle, board.power_field)
        if counter is None and power_w is None:
            self._tell(board.device.uuid, f"{board.device.name} tells neither energy nor power any more")
            return None
        rates = self._ask(nvml.nvmlDeviceGetUtilizationRates, handle)
        memory = self._ask(nvml.nvmlDeviceGetMemoryInfo, handle)
        temperature = self._ask(nvml.nvmlDeviceGetTemperature, handle, nvml.NVML_TEMPERATURE_GPU)
        return Reading(
            board.device,
            time,
            power_w=power_w,
            energy_counter=counter,
            util=None if rates is None else rates.gpu / 100,
            mem_used_bytes=None if memory is None else float(memory.used),
            temp_c=None if temperature is None else float(temperature),
        )

    def _ask(self, function: Callable[..., Any], *args: Any) -> Any | None:
        return _ask(self._nvml, function, *args)


def probe(
    clock: Callable[[], float], nvml: Any | None = None, environ: Mapping[str, str] = os.environ
) -> Probe:
    """Look for the boards that this process may use; `nvml` is the module pynvml unless given."""
    if nvml is None and not driver_is_here():
        return Probe(NoSensor("nvml"), problem=f"there is no NVIDIA driver here ({_DRIVER})", remedy=_REMEDY)
    if nvml is None:
        nvml = load()
    if nvml is None:
        return Probe(NoSensor("nvml"), problem="the module pynvml is not installed", remedy=_REMEDY)
    try:
        nvml.nvmlInit()
        handles = list(_visible_handles(nvml, environ.get("CUDA_VISIBLE_DEVICES")))
    except nvml.NVMLError as error:
        return Probe(NoSensor("nvml"), problem=f"NVML: {error}", remedy=_REMEDY)
    return _probe_boards(nvml, handles, clock)


def _probe_boards(nvml: Any, handles: list[Any], clock: Callable[[], float]) -> Probe:
    boards, problems = [], []
    for handle in handles:
        board = _board(nvml, handle)
        if isinstance(board, str):
            problems.append(board)
        else:
            boards.append(board)
    sensor = NvmlSensor(nvml, boards, clock) if boards else NoSensor("nvml")
    if not handles:
        problems.append("no board is visible to this process (CUDA_VISIBLE_DEVICES)")
    return Probe(sensor, tuple(board.device for board in boards), "; ".join(problems) or None)


def _board(nvml: Any, handle: Any) -> _Board | str:
    """Return a board and the best way to know its energy, or say why there is none."""
    name, uuid = _ask(nvml, nvml.nvmlDeviceGetName, handle), _ask(nvml, nvml.nvmlDeviceGetUUID, handle)
    if name is None or uuid is None:
        return "a board does not tell its name"
    mode = _ask(nvml, nvml.nvmlDeviceGetMigMode, handle)
    if mode is not None and mode[0] == nvml.NVML_DEVICE_MIG_ENABLE:
        return f"{name} ({uuid}) is cut into MIG slices: its power is not that of this job"
    power_field = _power_field(nvml, handle)
    method = _method(nvml, handle, name, power_field)
    if method is None:
        return f"{name} ({uuid}) tells neither energy nor power"
    counts = method == "counter"
    component: Component = "module" if counts and any(word in name for word in _MODULES) else "gpu"
    device = DeviceInfo(uuid, component, name, method, _JOULES_PER_COUNT if counts else None)
    return _Board(handle, device, power_field)


def _method(nvml: Any, handle: Any, name: str, power_field: int | None) -> str | None:
    if _ask(nvml, nvml.nvmlDeviceGetTotalEnergyConsumption, handle) is not None:
        return "counter"
    if power_field is not None:
        return "power_average" if power_field == nvml.NVML_FI_DEV_POWER_AVERAGE else "power_instant"
    if _ask(nvml, nvml.nvmlDeviceGetPowerUsage, handle) is None:
        return None
    architecture = _ask(nvml, nvml.nvmlDeviceGetArchitecture, handle) or 0
    momentary = architecture < nvml.NVML_DEVICE_ARCH_AMPERE or any(word in name for word in _MOMENTARY_AMPERE)
    return "power_instant" if momentary else "power_average"


def _power_field(nvml: Any, handle: Any) -> int | None:
    """Return the best power field that answers; None: only nvmlDeviceGetPowerUsage, or nothing, is left."""
    for field in (nvml.NVML_FI_DEV_POWER_AVERAGE, nvml.NVML_FI_DEV_POWER_INSTANT):
        if _field_mw(nvml, handle, field) is not None:
            return int(field)
    return None


def _power_w(nvml: Any, handle: Any, power_field: int | None) -> float | None:
    if power_field is not None:
        milliwatts = _field_mw(nvml, handle, power_field)
    else:
        milliwatts = _ask(nvml, nvml.nvmlDeviceGetPowerUsage, handle)
    return None if milliwatts is None else milliwatts / 1000


def _field_mw(nvml: Any, handle: Any, field: int) -> int | None:
    """Read a power field of the GPU alone; 0 is what boards say that do not have it."""
    values = _ask(nvml, nvml.nvmlDeviceGetFieldValues, handle, [(field, nvml.NVML_POWER_SCOPE_GPU)])
    if values is None or values[0].nvmlReturn != nvml.NVML_SUCCESS:
        return None
    return int(values[0].value.uiVal) or None


def _visible_handles(nvml: Any, visible: str | None) -> Iterator[Any]:
    """Yield the handles that CUDA_VISIBLE_DEVICES names, as CUDA reads it: up to the first that is no board.

    Numbers are taken in the order of the PCI bus, which is CUDA's own with CUDA_DEVICE_ORDER=PCI_BUS_ID,
    and where all boards are alike.
    """
    count = nvml.nvmlDeviceGetCount()
    if visible is None:
        yield from (nvml.nvmlDeviceGetHandleByIndex(index) for index in range(count))
        return
    for entry in visible.split(","):
        handle = _handle(nvml, entry.strip(), count)
        if handle is None:
            return
        yield handle


def _handle(nvml: Any, entry: str, count: int) -> Any | None:
    if entry.isdigit():
        return nvml.nvmlDeviceGetHandleByIndex(int(entry)) if int(entry) < count else None
    if entry.startswith("MIG-"):
        slice_ = _ask(nvml, nvml.nvmlDeviceGetHandleByUUID, entry)
        return slice_ and _ask(nvml, nvml.nvmlDeviceGetDeviceHandleFromMigDeviceHandle, slice_)
    for index in range(count):  # CUDA takes the beginning of a UUID too
        handle = nvml.nvmlDeviceGetHandleByIndex(index)
        if entry and nvml.nvmlDeviceGetUUID(handle).startswith(entry):
            return handle
    return None


def _ask(nvml: Any, function: Callable[..., Any], *args: Any) -> Any | None:
    """Call NVML; None where the board or the driver has no answer."""
    try:
        return function(*args)
    except nvml.NVMLError:
        return None


def driver_is_here() -> bool:
    """Tell whether the driver's library can be loaded: without it pynvml is two megabytes for nothing."""
    try:
        ctypes.CDLL(_DRIVER)
    except OSError:
        return False
    return True


def load() -> Any | None:
    """Import pynvml; None: there is no driver, or it is not installed."""
    if not driver_is_here():
        return None
    try:
        return importlib.import_module("pynvml")
    except ImportError:
        return None
