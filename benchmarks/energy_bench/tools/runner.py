"""Runs one tool over one trace, in a process of its own, and prints what it told as a line of JSON.

Two facts are given as the first argument, in JSON: the seconds of CLOCK_MONOTONIC at which the job begins
and ends. Only the standard library is used: it runs under a peer's interpreter too.
"""

from __future__ import annotations

import json
import os
import resource
import sys
import time
from pathlib import Path
from typing import Any, Final, Protocol

_TICK_S: Final = 1.0


class Tool(Protocol):
    """A meter of energy, from `begin` to `end`."""

    def begin(self) -> None:
        """The job begins: start to measure."""

    def tick(self) -> None:
        """A second of the job has passed."""

    def end(self) -> dict[str, Any]:
        """The job has ended: return `joules`, and whatever else is told."""
        ...


def run(tool: Tool, *, exact: bool = False) -> None:
    """Measure from the job's beginning to its end.

    The job's true time is not sharp where a tool takes a while to start and stop: told are the calls' times,
    and the tool is given the benefit of the doubt. An `exact` one knows which moments it is asked about.
    """
    asked = json.loads(sys.argv[1])
    _sleep_until(asked["begin"])
    cpu_s, called = cpu_seconds(), time.monotonic()
    tool.begin()
    began = time.monotonic()
    while time.monotonic() + _TICK_S < asked["end"]:
        time.sleep(_TICK_S)
        tool.tick()
    _sleep_until(asked["end"])
    asked_to_end, cpu_s = time.monotonic(), cpu_seconds() - cpu_s
    told = tool.end()
    ended = time.monotonic()
    times = {"called": called, "began": began, "asked_to_end": asked_to_end, "ended": ended}
    if exact:
        times |= {"called": began, "ended": asked_to_end}
    line = json.dumps({**told, **times, "cpu_s": cpu_s})
    sys.stdout.write(f"\n{line}\n")
    sys.stdout.flush()
    os._exit(0)  # a peer's processes may wait for ever


def cpu_seconds() -> float:
    """Return the processor time of this process and of its session's others, those that are gone included."""
    own = resource.getrusage(resource.RUSAGE_SELF)
    gone = resource.getrusage(resource.RUSAGE_CHILDREN)
    others = sum(_cpu_of(path) for path in Path("/proc").glob("[0-9]*/stat"))
    return own.ru_utime + own.ru_stime + gone.ru_utime + gone.ru_stime + others


def _cpu_of(stat: Path) -> float:
    try:
        fields = stat.read_text().rpartition(")")[2].split()
    except OSError:
        return 0.0
    session, user, system = int(fields[3]), int(fields[11]), int(fields[12])
    if session != os.getsid(0) or stat.parent.name == str(os.getpid()):
        return 0.0
    return (user + system) / os.sysconf("SC_CLK_TCK")


def _sleep_until(at: float) -> None:
    time.sleep(max(0.0, at - time.monotonic()))
