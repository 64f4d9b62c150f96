"""Zeus: a measurement window, or its power monitor where the boards have no energy counter."""

from __future__ import annotations

import sys
import time
from importlib import import_module
from typing import Any

from energy_bench.tools.runner import run


class Window:
    """One window of the monitor, over all GPUs, or all CPUs with their memory."""

    def __init__(self, part: str) -> None:
        self._part = part
        self._monitor = import_module("zeus.monitor").ZeusMonitor(gpu_indices=[] if part == "cpu" else None)

    def begin(self) -> None:
        """Begin the window."""
        self._monitor.begin_window("job", sync_execution=False)

    def tick(self) -> None:
        """Nothing: it reads at the window's edges."""

    def end(self) -> dict[str, Any]:
        """End the window."""
        told = self._monitor.end_window("job", sync_execution=False)
        if self._part == "gpu":
            return {"joules": sum(told.gpu_energy.values())}
        parts = (told.cpu_energy or {}, told.dram_energy or {})
        return {"joules": sum(value for part in parts for value in part.values())}


class Power:
    """The power monitor; without a period it polls as fast as it can."""

    def __init__(self, period_s: float | None) -> None:
        self._period_s = period_s

    def begin(self) -> None:
        """Start its processes."""
        self._monitor = import_module("zeus.monitor").PowerMonitor(update_period=self._period_s)
        self._from = time.time()

    def tick(self) -> None:
        """Nothing: it has processes of its own."""

    def end(self) -> dict[str, Any]:
        """Integrate."""
        told = self._monitor.get_energy(self._from, time.time()) or {}
        return {"joules": sum(told.values())}


if __name__ == "__main__":
    if sys.argv[3] == "window":
        run(Window(sys.argv[2]))
    else:
        run(Power(float(sys.argv[3]) or None))
