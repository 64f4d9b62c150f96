"""NVIDIA GPUs, by NVML (`pip install trimtab[nvidia]`).

Read are the boards that this process may use: those of CUDA_VISIBLE_DEVICES, else all. A board that is held
but idle counts too: nobody else could use it. Each board is a sensor of its own, read in its own thread: one
whose driver hangs holds up no other, and ranks that see the same board read it once.

Of the ways to know a board's energy, the best that answers is used and named in `method`: the energy counter
(Volta and newer), the power averaged over a second, the momentary power, which is read ten times a second.
Power is sent beside the counter, so that one can be checked against the other.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping
from typing import Any, Final

from trimtab.sensors.nvidia.at_once import at_once
from trimtab.sensors.nvidia.board import NvmlSensor
from trimtab.sensors.nvidia.boards import Board, visible_boards
from trimtab.sensors.nvidia.driver import LIBRARY, Driver, is_here, load
from trimtab.sensors.nvidia.meter import Meter
from trimtab.sensors.reading import NoSensor, Probe, Sensor
from trimtab.sensors.share.members import Members

__all__ = ["load", "probe"]

_REMEDY: Final = "pip install trimtab[nvidia] (nvidia-ml-py), and check that nvidia-smi works here"


def probe(
    clock: Callable[[], float],
    members: Members | None = None,
    nvml: Any | None = None,
    environ: Mapping[str, str] = os.environ,
    pause: Callable[[float], None] = time.sleep,
) -> Probe:
    """Look for the boards that this process may use; `nvml` is the module pynvml unless given.

    `members` knows which processes are this run's: without it, nothing is told of who shares a board.
    """
    if nvml is None and not is_here():
        return Probe(NoSensor("nvml"), problem=f"there is no NVIDIA driver here ({LIBRARY})", remedy=_REMEDY)
    nvml = load() if nvml is None else nvml
    if nvml is None:
        return Probe(
            NoSensor("nvml"), (), "the module pynvml is not installed, or broken", _REMEDY, hidden=True
        )
    driver = Driver(nvml, clock)
    try:
        driver.open()
    except nvml.NVMLError as error:
        return Probe(NoSensor("nvml"), (), f"NVML: {error}", _REMEDY, hidden=True)
    boards = visible_boards(driver, environ.get("CUDA_VISIBLE_DEVICES"))
    pids = _nobody if members is None else members.pids
    return _probe_boards(boards, lambda board, meter: NvmlSensor(board, meter, clock, pids, pause))


def _probe_boards(boards: list[Board], make: Callable[[Board, Meter], NvmlSensor]) -> Probe:
    problems: list[str] = []
    sensors: list[NvmlSensor] = []
    for board, meter in zip(boards, at_once(_meter, boards), strict=True):
        if isinstance(meter, str):
            problems.append(meter)
        else:
            sensors.append(make(board, meter))
    if not boards:
        problems.append("no board is visible to this process (CUDA_VISIBLE_DEVICES)")
    first, *more = sensors or _NONE
    devices = tuple(sensor.device for sensor in sensors)
    return Probe(first, devices, "; ".join(problems) or None, more=tuple(more))


_NONE: Final[tuple[Sensor, ...]] = (NoSensor("nvml"),)


def _meter(board: Board) -> Meter | str:
    """Return how the energy of a board is known, or say why it is not."""
    if board.is_cut and board.held_share is None:
        return f"{board.name} ({board.uuid}) is cut into MIG slices, of which none is told to be this job's"
    return Meter.of(board) or f"{board.name} ({board.uuid}) tells neither energy nor power"


def _nobody() -> None:
    """No process is known to be this run's."""
