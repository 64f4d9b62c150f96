"""Trimtab: the sampler that a job has, and the collector's ledger on what it sends."""

from __future__ import annotations

import sys
import tempfile
import time
from dataclasses import asdict
from pathlib import Path
from typing import Any

from energy_bench.meter import Meter
from energy_bench.tools.runner import run
from trimtab import identity
from trimtab.sensors.sampler import Sampler
from trimtab.steady_clock import SteadyClock
from trimtab.vocabulary import Device

COMPONENTS = {"gpu": ("gpu", "module"), "cpu": ("package", "dram")}


class Trimtab:
    """The collector's part is done when the job has ended: it would be on another machine."""

    def __init__(self, part: str) -> None:
        self._components = COMPONENTS[part]
        self._sampler = Sampler(
            "bench", SteadyClock(), lock_folder=Path(tempfile.mkdtemp(prefix="energy-bench-"))
        )
        self._batches: list[list[Device]] = []

    def begin(self) -> None:
        """Start the sampler."""
        self._sampler.start()
        self._start = time.time()

    def tick(self) -> None:
        """Take what was read, as the sender does."""
        self._batches.append(self._sampler.drain())

    def end(self) -> dict[str, Any]:
        """Stop the sampler, and let the ledger add up."""
        end = time.time()
        self._sampler.stop()
        self.tick()
        meter = Meter(identity.boot_id(), self._start)
        for batch in self._batches:
            meter.take(batch)
        return asdict(meter.close(end, self._components))


if __name__ == "__main__":
    run(Trimtab(sys.argv[2]), exact=True)
