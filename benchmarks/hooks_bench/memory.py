"""What a process holds in memory, from /proc."""

from __future__ import annotations

import os
from pathlib import Path


def resident_mb() -> float:
    """Memory of this process that is there now, in MB; NaN where the system does not tell."""
    return _status_mb("VmRSS")


def peak_mb() -> float:
    """The most that it was, in MB."""
    return _status_mb("VmHWM")


def helpers_mb() -> float:
    """Memory of the processes that this one started and that are its children still, in MB."""
    folder = Path(f"/proc/{os.getpid()}/task")
    if not folder.is_dir():
        return float("nan")
    pids = [pid for thread in folder.iterdir() for pid in (thread / "children").read_text().split()]
    return sum(_status_mb("VmRSS", pid) for pid in pids)


def _status_mb(field: str, pid: str = "self") -> float:
    path = Path(f"/proc/{pid}/status")
    if not path.exists():
        return float("nan")
    for line in path.read_text().splitlines():
        if line.startswith(field + ":"):
            return int(line.split()[1]) * 1024 / 1e6
    return 0.0
