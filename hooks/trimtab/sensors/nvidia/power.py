"""Which of a board's power readings to believe, and over how long each is averaged.

Windows and updates are those measured on more than 70 boards by Yang, Adamek and Armour, "Accurate and
Convenient Energy Measurements for GPUs" (SC24): a field that averages does so over 1 s; the momentary ones of
GA100 and Hopper see 25 ms of every 100 ms. Where nobody measured it, it is None.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final, Literal

from trimtab.sensors.nvidia.boards import Board

Method = Literal["power_average", "power_instant"]

AVERAGE_FIELD: Final = 185
INSTANT_FIELD: Final = 186
GPU_SCOPE: Final = 0
MODULE_SCOPE: Final = 1
_AMPERE: Final = 7
_HOPPER: Final = 9
_GA100: Final = ("A100", "A800", "A30")
"""The only Ampere boards whose power usage is not averaged over a second."""

_UPDATE_S: Final = 0.1
_AVERAGE_WINDOW_S: Final = 1.0
_SHORT_WINDOW_S: Final = 0.025


@dataclass(frozen=True, slots=True)
class PowerSource:
    """A way to read a board's power: a field of NVML's, or nvmlDeviceGetPowerUsage (`field` None)."""

    method: Method
    field: int | None
    scope: int = GPU_SCOPE
    window_s: float | None = None
    update_s: float | None = None

    def read_w(self, board: Board) -> float | None:
        """Read it, in watts."""
        if self.field is None:
            milliwatts = board.ask("nvmlDeviceGetPowerUsage")
        else:
            milliwatts = _field_mw(board, self.field, self.scope)
        return None if milliwatts is None else milliwatts / 1000


def power_sources(board: Board, scope: int = GPU_SCOPE) -> list[PowerSource]:
    """Return the ways that answer, best first: averaged ones before momentary ones."""
    architecture = board.ask("nvmlDeviceGetArchitecture") or 0
    is_short = _is_ga100(board) or architecture == _HOPPER
    average = PowerSource("power_average", AVERAGE_FIELD, scope, _AVERAGE_WINDOW_S, _UPDATE_S)
    instant = PowerSource(
        "power_instant", INSTANT_FIELD, scope, *((_SHORT_WINDOW_S, _UPDATE_S) if is_short else (None, None))
    )
    usage = [_usage(board, architecture)] if scope == GPU_SCOPE else []
    known = sorted((average, instant, *usage), key=lambda source: source.method)  # "average" before "instant"
    return [source for source in known if source.read_w(board) is not None]


def _usage(board: Board, architecture: int) -> PowerSource:
    """What nvmlDeviceGetPowerUsage means: a mean over 1 s on Ampere and newer, but not on GA100."""
    if _is_ga100(board):
        return PowerSource("power_instant", None, GPU_SCOPE, _SHORT_WINDOW_S, _UPDATE_S)
    if architecture < _AMPERE:
        return PowerSource("power_instant", None)
    return PowerSource("power_average", None, GPU_SCOPE, _AVERAGE_WINDOW_S, _UPDATE_S)


def _is_ga100(board: Board) -> bool:
    return any(word in board.name for word in _GA100)


def _field_mw(board: Board, field: int, scope: int) -> int | None:
    """Read a power field; 0 is what boards say that do not have it."""
    values = board.ask("nvmlDeviceGetFieldValues", [(field, scope)])
    if values is None or values[0].nvmlReturn != 0:
        return None
    return int(values[0].value.uiVal) or None
