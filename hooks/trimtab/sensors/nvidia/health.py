"""How a board fares: what it is busy with, its clocks and what holds them back, and errors of its memory."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from trimtab.sensors.nvidia.boards import Board
from trimtab.sensors.rota import Task

OFTEN_S: Final = 1.0
SELDOM_S: Final = 5.0

_TEMPERATURE_GPU: Final = 0
_CLOCK_SM: Final = 1
_CLOCK_MEMORY: Final = 2
_CORRECTED: Final = 0
_UNCORRECTED: Final = 1
_VOLATILE: Final = 0
"""Counted since the driver was loaded."""


class Health:
    """The gauges of one board. What `take` returns was asked since it was last called; no answer is no entry.

    `util` is 0 to 1, `mem_used_bytes` bytes, `temp_c` degrees Celsius; throttle reasons are NVML's bits of
    nvmlClocksEventReasons.
    """

    def __init__(self, board: Board) -> None:
        self._board = board
        self._told: dict[str, float] = {}
        self._ecc_errors: int | None = None
        self._new_ecc_errors = 0

    def tasks(self) -> list[Task]:
        """Return what is to be asked, each a call or two of the driver."""
        often: list[Callable[[], None]] = [self._utilisation, self._memory, self._temperature]
        seldom: list[Callable[[], None]] = [self._clocks, self._throttle_reasons, self._ecc]
        return [Task(OFTEN_S, ask) for ask in often] + [Task(SELDOM_S, ask) for ask in seldom]

    def take(self) -> dict[str, float]:
        """Return what was told since the last call, by the names of the wire."""
        told, self._told = self._told, {}
        return told

    def take_ecc_errors(self) -> int:
        """Return how many uncorrected errors of memory came since the last call."""
        new, self._new_ecc_errors = self._new_ecc_errors, 0
        return new

    def _tell(self, name: str, value: float | None) -> None:
        if value is not None:
            self._told[name] = float(value)

    def _utilisation(self) -> None:
        rates = self._board.ask("nvmlDeviceGetUtilizationRates")
        self._tell("util", None if rates is None else rates.gpu / 100)

    def _memory(self) -> None:
        memory = self._board.ask("nvmlDeviceGetMemoryInfo")
        self._tell("mem_used_bytes", None if memory is None else memory.used)

    def _temperature(self) -> None:
        self._tell("temp_c", self._board.ask("nvmlDeviceGetTemperature", _TEMPERATURE_GPU))

    def _clocks(self) -> None:
        self._tell("sm_clock_mhz", self._board.ask("nvmlDeviceGetClockInfo", _CLOCK_SM))
        self._tell("mem_clock_mhz", self._board.ask("nvmlDeviceGetClockInfo", _CLOCK_MEMORY))

    def _throttle_reasons(self) -> None:
        reasons = self._board.ask("nvmlDeviceGetCurrentClocksEventReasons")
        if reasons is None:  # its name before driver 535
            reasons = self._board.ask("nvmlDeviceGetCurrentClocksThrottleReasons")
        self._tell("throttle_reasons", reasons)

    def _ecc(self) -> None:
        self._tell(
            "ecc_corrected_errors", self._board.ask("nvmlDeviceGetTotalEccErrors", _CORRECTED, _VOLATILE)
        )
        errors = self._board.ask("nvmlDeviceGetTotalEccErrors", _UNCORRECTED, _VOLATILE)
        self._tell("ecc_uncorrected_errors", errors)
        if errors is not None:
            if self._ecc_errors is not None:
                self._new_ecc_errors += max(0, errors - self._ecc_errors)
            self._ecc_errors = errors
