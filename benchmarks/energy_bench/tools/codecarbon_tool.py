"""CodeCarbon's offline tracker of the whole machine; the second argument is its interval in seconds."""

from __future__ import annotations

import sys
from importlib import import_module
from typing import Any, Final

from energy_bench.tools.runner import run

JOULES_PER_KWH: Final = 3.6e6


class CodeCarbon:
    """Told is the energy of all GPUs, or of the CPU with its memory where RAPL is asked for."""

    def __init__(self, interval_s: float, part: str) -> None:
        self._part = part
        self._tracker = import_module("codecarbon").OfflineEmissionsTracker(
            country_iso_code="FRA",
            measure_power_secs=interval_s,
            save_to_file=False,
            log_level="error",
            tracking_mode="machine",
            rapl_include_dram=True,
            allow_multiple_runs=True,
        )

    def begin(self) -> None:
        """Start the tracker."""
        self._tracker.start()

    def tick(self) -> None:
        """Nothing: it has threads of its own."""

    def end(self) -> dict[str, Any]:
        """Stop the tracker."""
        self._tracker.stop()
        data = self._tracker.final_emissions_data
        kwh = data.gpu_energy if self._part == "gpu" else data.cpu_energy
        return {"joules": kwh * JOULES_PER_KWH}


if __name__ == "__main__":
    run(CodeCarbon(float(sys.argv[3]), sys.argv[2]))
