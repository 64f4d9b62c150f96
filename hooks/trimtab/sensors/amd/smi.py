"""AMD GPUs, by AMD SMI (ROCm's own module, or `pip install trimtab[amd]`).

Read are the GPUs that this process may use. A board's energy is known by its counter, else by the averaged,
else by the momentary power; the power is sent beside the counter, whose rate is known to be wrong on some
boards, so that one can be checked against the other. Power is told in whole watts.

A board of two dies (MI250) tells the power of both at its first die, and nothing at the other: a process that
uses either reads the first, and holds half of it where the other is not in its container. An MI300A is CPU,
GPU and memory in one: a module.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from trimtab.sensors.amd import library as amd_library
from trimtab.sensors.amd.board import Board
from trimtab.sensors.amd.visible import visible
from trimtab.sensors.reading import DeviceInfo, NoSensor, Probe, Reading, SensorError

_REMEDY: Final = "check that amd-smi works here, and pip install trimtab[amd] in the version of your ROCm"
_TWO_DIES: Final = "MI250"
_MODULES: Final = ("MI300A",)
_RENDER_NODES: Final = Path("/dev/dri")
_OLDEST_S: Final = 5.0


class AmdSensor:
    """Reads one board; what it does not tell is None. `held` is the job's part of it (None: all)."""

    name = "amd"

    def __init__(
        self,
        board: Board,
        device: DeviceInfo,
        held: float | None,
        clock: Callable[[], float],
        boot_s: Callable[[], float],
    ) -> None:
        self.scope = f"amd-{device.uuid}"
        self.draw_times = device.method == "power_instant"
        self.period_s: float | None = None
        self.device = device
        self._board = board
        self._held = held
        self._clock = clock
        self._boot_s = boot_s

    def read(self) -> list[Reading]:
        """Read the board once."""
        board, device = self._board, self.device
        at = self._clock()
        energy = board.energy() if device.method == "counter" else None
        power = board.power()
        if energy is None and power is None:
            raise SensorError(f"{device.name} ({device.uuid}) tells neither energy nor power any more")
        reading = Reading(
            device,
            at if energy is None else at - self._age_s(energy.boot_s),
            power_w=None if power is None else power.watts,
            energy_counter=None if energy is None else energy.counter,
            util=board.util(),
            mem_used_bytes=board.memory_bytes(),
            temp_c=board.temp_c(),
            held_share=self._held,
            gauges=board.clocks_mhz(),
        )
        return [reading]

    def _age_s(self, boot_s: float) -> float:
        """Return how long ago a counter stood as it was told, as far as its timestamp makes sense."""
        age_s = self._boot_s() - boot_s
        return age_s if 0 <= age_s <= _OLDEST_S else 0.0


def probe(
    clock: Callable[[], float],
    smi: Any | None = None,
    environ: Mapping[str, str] = os.environ,
    render_nodes: Path = _RENDER_NODES,
    boot_s: Callable[[], float] | None = None,
) -> Probe:
    """Look for the boards that this process may use; `smi` is the module amdsmi unless given."""
    if smi is None and not amd_library.is_here():
        return Probe(NoSensor("amd"), problem=f"there is no AMD GPU driver here ({amd_library.DRIVER})")
    smi = smi or amd_library.load()
    if smi is None:
        return Probe(NoSensor("amd"), (), "the module amdsmi cannot be imported", _REMEDY, hidden=True)
    try:
        smi.amdsmi_init()
        boards = [Board(smi, handle) for handle in smi.amdsmi_get_processor_handles()]
    except smi.AmdSmiException as error:
        return Probe(NoSensor("amd"), (), f"AMD SMI: {' '.join(str(error).split())}", _REMEDY, hidden=True)
    here = [place for place, board in enumerate(boards) if _has_node(board, render_nodes)]
    used = _used(boards, here, environ)
    if not used:
        why = "no GPU is visible to this process (ROCR_VISIBLE_DEVICES, HIP_VISIBLE_DEVICES)"
        return Probe(NoSensor("amd"), problem=why)
    return _probe(boards, here, used, clock, boot_s or _seconds_since_boot)


def _probe(
    boards: Sequence[Board],
    here: Sequence[int],
    used: Sequence[int],
    clock: Callable[[], float],
    boot_s: Callable[[], float],
) -> Probe:
    tellers = {place: _teller(boards, place) for place in used}
    silent = [boards[place].name() for place, teller in tellers.items() if teller is None]
    problem = f"{', '.join(silent)}: tells neither energy nor power" if silent else None
    found = [
        AmdSensor(boards[teller], _device(boards[teller], teller), _part(boards, teller, here), clock, boot_s)
        for teller in dict.fromkeys(tellers.values())
        if teller is not None
    ]
    if not found:
        return Probe(NoSensor("amd"), (), problem, _REMEDY, hidden=True)
    first, *more = found
    return Probe(first, tuple(sensor.device for sensor in found), problem, more=tuple(more))


def _used(boards: Sequence[Board], here: Sequence[int], environ: Mapping[str, str]) -> list[int]:
    """Return the places of the boards that this process may use, of those that are here."""
    told = {place: boards[place].enumeration() for place in here}
    by_hip = list(here)
    if all(isinstance(facts.get("hip_id"), int) for facts in told.values()):
        by_hip.sort(key=lambda place: int(told[place]["hip_id"]))
    uuids = [str(told[place].get("hip_uuid") or "") for place in by_hip]
    return [by_hip[index] for index in visible(uuids, environ)]


def _has_node(board: Board, render_nodes: Path) -> bool:
    """Tell whether a GPU's render node is here: a container is given those of its own GPUs."""
    number = board.enumeration().get("drm_render")
    return not isinstance(number, int) or (render_nodes / f"renderD{number}").exists()


def _part(boards: Sequence[Board], place: int, here: Sequence[int]) -> float | None:
    """Return half for a board of which one die is not here.

    What the environment hides counts as held: it often hides from a rank what other ranks of the job use.
    """
    both = {place, place ^ 1}
    of_two = _TWO_DIES in boards[place].name() and max(both) < len(boards)
    return 0.5 if of_two and not both <= set(here) else None


def _teller(boards: Sequence[Board], index: int) -> int | None:
    """Return which die tells of this one: itself, or the other one of its board; None: neither does."""
    places = [index, index ^ 1] if _TWO_DIES in boards[index].name() else [index]
    return next((place for place in places if place < len(boards) and _tells(boards[place])), None)


def _tells(board: Board) -> bool:
    return board.energy() is not None or board.power() is not None


def _device(board: Board, place: int) -> DeviceInfo:
    name, energy, power = board.name(), board.energy(), board.power()
    return DeviceInfo(
        uuid=board.uuid() or f"amd:{place}",
        component="module" if any(module in name for module in _MODULES) else "gpu",
        name=f"{name} (both dies)" if _TWO_DIES in name else name,
        method="counter" if energy else power.method if power else "power_average",
        counter_unit_j=energy.unit_j if energy else None,
        power_limit_w=board.limit_w(),
    )


def _seconds_since_boot() -> float:
    return time.clock_gettime(time.CLOCK_BOOTTIME)
