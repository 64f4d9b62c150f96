"""Samples for some seconds beside steps of a job, and prints what that took as a line of JSON."""

from __future__ import annotations

import json
import sys
import tempfile
import time
from pathlib import Path
from statistics import quantiles
from typing import Final

from trimtab.sensors.sampler import Sampler
from trimtab.steady_clock import SteadyClock
from trimtab.vocabulary import Device

_STEP_S: Final = 0.02


def main() -> None:
    """Sample for as long as the first argument says, in seconds."""
    seconds = float(sys.argv[1])
    alone_s, alone_steps = _steps(min(5.0, seconds / 2))
    sampler = Sampler("cost", SteadyClock(), lock_folder=Path(tempfile.mkdtemp(prefix="energy-bench-")))
    sampler.start()
    time.sleep(2.0)  # what is done once is not the matter here
    sampler.drain()
    cpu_s, steps = _steps(seconds)
    devices = [device for device in sampler.drain() if device.component == "gpu"]
    sampler.stop()
    told = {
        "seconds": seconds,
        "cpu_pct": 100 * (cpu_s / seconds - alone_s / min(5.0, seconds / 2)),
        "step_ms_p99_alone": _p99(alone_steps),
        "step_ms_p99": _p99(steps),
        "readings": [len(device.time) for device in devices],
        "late_ms_most": max(_late_ms(device) for device in devices),
        "late_ms_most_of_the_others": max(_late_ms(device) for device in devices[1:]),
    }
    sys.stdout.write(json.dumps(told) + "\n")


def _steps(seconds: float) -> tuple[float, list[float]]:
    """Make steps that wait, as for a device; return the processor time of all, and what each step took."""
    cpu_s, until, took = time.process_time(), time.monotonic() + seconds, []
    while (begun := time.monotonic()) < until:
        time.sleep(_STEP_S)
        took.append(time.monotonic() - begun)
    return time.process_time() - cpu_s, took


def _p99(took: list[float]) -> float:
    return 1e3 * quantiles(took, n=100)[98]


def _late_ms(device: Device) -> float:
    """How much longer than the usual the longest time between two readings was."""
    between = sorted(after - before for before, after in zip(device.time, device.time[1:], strict=False))
    return 1e3 * (between[-1] - between[len(between) // 2])


if __name__ == "__main__":
    main()
