"""AMD GPUs, by AMD SMI (ROCm's own module, or `pip install trimtab[amd]`).

Read are the GPUs that this process may use. A board's energy is known by its counter, else by the averaged,
else by the momentary power; the power is sent beside the counter, whose rate is known to be wrong on some
boards, so that one can be checked against the other. Power is told in whole watts.

A board of two dies (MI250) tells the power of both at its first die, and nothing at the other: a process that
uses either reads the first, and holds half of it if it uses one. An MI300A is CPU, GPU and memory in one: a
module.
"""

from __future__ import annotations

import hashlib
import os
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from trimtab.sensors import amd_library
from trimtab.sensors.amd_board import Board
from trimtab.sensors.amd_visible import visible
from trimtab.sensors.reading import DeviceInfo, NoSensor, Probe, Reading, SensorError, TellOnce

_REMEDY: Final = "check that amd-smi works here, and pip install trimtab[amd] in the version of your ROCm"
_TWO_DIES: Final = "MI250"
_MODULES: Final = ("MI300A",)
_RENDER_NODES: Final = Path("/dev/dri")
_OLDEST_S: Final = 5.0


@dataclass(frozen=True, slots=True)
class _Held:
    """A board that is read, and the part of it that this process holds (None: all)."""

    board: Board
    device: DeviceInfo
    share: float | None


class AmdSensor:
    """Reads every board; what a board does not tell is None, and a board that fails is told once."""

    name = "amd"

    def __init__(self, boards: list[_Held], clock: Callable[[], float], boot_s: Callable[[], float]) -> None:
        names = ",".join(sorted(held.device.uuid for held in boards))
        self.scope = f"amd-{hashlib.sha256(names.encode()).hexdigest()[:12]}"
        self.draw_times = any(held.device.method == "power_instant" for held in boards)
        self.period_s: float | None = None
        self._boards = boards
        self._clock = clock
        self._boot_s = boot_s
        self._tell = TellOnce()

    def read(self) -> list[Reading]:
        """Read every board once."""
        readings = [reading for held in self._boards if (reading := self._read(held)) is not None]
        if not readings:
            raise SensorError(f"amd: none of {len(self._boards)} boards tells its energy or power any more")
        return readings

    def _read(self, held: _Held) -> Reading | None:
        board, device = held.board, held.device
        at = self._clock()
        energy = board.energy() if device.method == "counter" else None
        power = board.power()
        if energy is None and power is None:
            self._tell(device.uuid, f"{device.name} tells neither energy nor power any more")
            return None
        return Reading(
            device,
            at if energy is None else at - self._age_s(energy.boot_s),
            power_w=None if power is None else power.watts,
            energy_counter=None if energy is None else energy.counter,
            util=board.util(),
            mem_used_bytes=board.memory_bytes(),
            temp_c=board.temp_c(),
            held_share=held.share,
            gauges=board.clocks_mhz(),
        )

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
    used = _used(boards, environ, render_nodes)
    return _probe(boards, used, clock, boot_s or _seconds_since_boot)


def _probe(
    boards: Sequence[Board], used: Sequence[int], clock: Callable[[], float], boot_s: Callable[[], float]
) -> Probe:
    if not used:
        why = "no GPU is visible to this process (ROCR_VISIBLE_DEVICES, HIP_VISIBLE_DEVICES)"
        return Probe(NoSensor("amd"), problem=why)
    held = list(_held(boards, used))
    silent = [boards[index].name() for index in used if _teller(boards, index) is None]
    problem = f"{', '.join(silent)}: tells neither energy nor power" if silent else None
    if not held:
        return Probe(NoSensor("amd"), (), problem, _REMEDY, hidden=True)
    devices = tuple(each.device for each in held)
    return Probe(AmdSensor(held, clock, boot_s), devices, problem)


def _used(boards: Sequence[Board], environ: Mapping[str, str], render_nodes: Path) -> list[int]:
    """Return the places in `boards`, which is in amd-smi's order, of those that this process may use."""
    told = [board.enumeration() for board in boards]
    here = [place for place, facts in enumerate(told) if _has_node(facts.get("drm_render"), render_nodes)]
    hip_ids = [told[place].get("hip_id") for place in here]
    by_hip = here
    if all(isinstance(hip_id, int) for hip_id in hip_ids):
        by_hip = sorted(here, key=lambda place: int(told[place]["hip_id"]))
    return [
        by_hip[index]
        for index in visible([str(told[place].get("hip_uuid") or "") for place in by_hip], environ)
    ]


def _has_node(number: Any, render_nodes: Path) -> bool:
    """Tell whether a GPU's render node is here: a container is given those of its own GPUs."""
    return not isinstance(number, int) or (render_nodes / f"renderD{number}").exists()


def _held(boards: Sequence[Board], used: Sequence[int]) -> Iterator[_Held]:
    """Yield each board that tells of one or more of the used dies."""
    dies: dict[int, int] = {}
    for index in used:
        teller = _teller(boards, index)
        if teller is not None:
            dies[teller] = dies.get(teller, 0) + 1
    for teller, count in dies.items():
        board = boards[teller]
        of_two = _TWO_DIES in board.name() and len(boards) > 1
        yield _Held(board, _device(board, teller), count / 2 if of_two and count < 2 else None)


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
