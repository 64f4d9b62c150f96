"""Runs a command and tells what it and all that it started took, whoever became their parent meanwhile.

    python -m hooks_bench.supervisor OUT.json SECONDS COMMAND…

A client's helper processes often outlive the script. On Linux they become this process's children, so that
their processor time is known too; `SECONDS` after the script has gone, those that are left are killed.
"""

from __future__ import annotations

import ctypes
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from resource import struct_rusage
from typing import Any, Final

PR_SET_CHILD_SUBREAPER: Final = 36
POLL_S: Final = 0.02


def become_subreaper() -> bool:
    """Adopt orphaned descendants, where the system can do that."""
    prctl = getattr(ctypes.CDLL(None), "prctl", None)
    return prctl is not None and prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) == 0


def seconds_of(usage: struct_rusage) -> float:
    """Processor time, of the user's and the system's."""
    return usage.ru_utime + usage.ru_stime


def supervise(command: list[str], patience_s: float) -> dict[str, Any]:
    """Run a command to its end; `gone` is when it went, by the monotonic clock."""
    become_subreaper()
    child = subprocess.Popen(command)
    _, status, usage = os.wait4(child.pid, 0)
    child.returncode = os.waitstatus_to_exitcode(status)
    gone = time.monotonic()
    others = reap(gone + patience_s)
    return {
        "status": child.returncode,
        "gone": gone,
        "cpu_s": seconds_of(usage),
        "helpers_cpu_s": others,
        "helpers_s": time.monotonic() - gone,
    }


def reap(deadline: float) -> float:
    """Wait for the orphans, kill those that are left at the deadline; return their processor time."""
    took = 0.0
    while True:
        try:
            pid, _, usage = os.wait4(-1, os.WNOHANG)
        except ChildProcessError:
            return took
        if pid:
            took += seconds_of(usage)
            continue
        if time.monotonic() > deadline:
            for orphan in children():
                os.kill(orphan, signal.SIGKILL)
        time.sleep(POLL_S)


def children() -> list[int]:
    """The processes whose parent this one is."""
    pid = os.getpid()
    return [int(each) for each in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def main() -> None:
    """Write what the command took."""
    out, patience_s, *command = sys.argv[1:]
    Path(out).write_text(json.dumps(supervise(command, float(patience_s))))


if __name__ == "__main__":
    main()
