"""How the energy of one board is known: its counter, or the best of its power readings."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Final

from trimtab.sensors.nvidia.boards import Board
from trimtab.sensors.nvidia.power import GPU_SCOPE, MODULE_SCOPE, PowerSource, power_sources
from trimtab.sensors.reading import DeviceInfo
from trimtab.vocabulary import INT64_MAX, Component

_JOULES_PER_COUNT: Final = 1e-3
_MODULES: Final = ("GH200", "GB200", "GB300")
"""Boards whose counter is that of the whole module: GPU, CPU and memory."""


@dataclass(slots=True)
class Meter:
    """The ways to know a board's energy that answered when it was found; each may go away, and come back.

    `by_counter` describes the device where its counter is read, `by_power` where only power is; None: there
    is no such way. `momentary` reads the power of this moment, for the end of a run.
    """

    board: Board
    by_counter: DeviceInfo | None
    by_power: DeviceInfo | None
    power: PowerSource | None
    momentary: PowerSource | None

    @classmethod
    def of(cls, board: Board) -> Meter | None:
        """Find out what answers; None: nothing does. Power stands for the same parts as the counter."""
        counts = counter_mj(board) is not None
        is_module = any(word in board.name for word in _MODULES)
        sources = power_sources(board, MODULE_SCOPE) if is_module else power_sources(board)
        if not counts and not sources:  # of a module without a counter, the GPU alone can still be told
            is_module, sources = False, power_sources(board, GPU_SCOPE)
        if not counts and not sources:
            return None
        power = sources[0] if sources else None
        device = _device(board, "module" if is_module else "gpu", power)
        momentary = next((source for source in sources if source.method == "power_instant"), None)
        by_counter = replace(device, method="counter", counter_unit_j=_JOULES_PER_COUNT) if counts else None
        return cls(board, by_counter, device if power else None, power, momentary)

    @property
    def device(self) -> DeviceInfo:
        """The device by the best way there is."""
        device = self.by_counter or self.by_power
        assert device is not None
        return device

    @property
    def averages(self) -> bool:
        """Whether its power is an average over the time before."""
        return self.power is not None and self.power.method == "power_average"

    def count(self) -> int | None:
        """Read the counter, in millijoules, if it has one."""
        return counter_mj(self.board) if self.by_counter else None

    def power_w(self) -> float | None:
        """Read the power, if it is told."""
        return self.power.read_w(self.board) if self.power else None

    def power_now_w(self) -> float | None:
        """Read the power of this moment, if it is told."""
        return self.momentary.read_w(self.board) if self.momentary else None

    def blur(self, took_s: float) -> None:
        """Tell how old a reading may be, where calls take so long that renewals cannot be told apart."""
        if self.power is None or self.power.update_s is None:
            return
        update_s = self.power.update_s + (took_s if took_s > self.power.update_s / 2 else 0.0)
        self.by_counter = self.by_counter and replace(self.by_counter, power_update_s=update_s)
        self.by_power = self.by_power and replace(self.by_power, power_update_s=update_s)

    def limit(self) -> None:
        """Ask how much the board may draw: it can be changed at any time."""
        limit_w = power_limit_w(self.board)
        self.by_counter = self.by_counter and replace(self.by_counter, power_limit_w=limit_w)
        self.by_power = self.by_power and replace(self.by_power, power_limit_w=limit_w)


def counter_mj(board: Board) -> int | None:
    """Read the energy counter; 0, or all bits set, is what boards say that do not have it."""
    counter = board.ask("nvmlDeviceGetTotalEnergyConsumption")
    return counter if counter and counter <= INT64_MAX else None


def power_limit_w(board: Board) -> float | None:
    """Read the limit in force, in watts."""
    milliwatts = board.ask("nvmlDeviceGetEnforcedPowerLimit")
    return milliwatts / 1000 if milliwatts else None


def _device(board: Board, component: Component, power: PowerSource | None) -> DeviceInfo:
    slices = f" ({board.slices_held} of {board.slices_in_all} slices, by MIG)" if board.is_cut else ""
    return DeviceInfo(
        board.uuid,
        component,
        f"{board.name}{slices}",
        power.method if power else "counter",
        power_limit_w=power_limit_w(board),
        power_window_s=power.window_s if power else None,
        power_update_s=power.update_s if power else None,
    )
