"""How long a job's processes have worked, where no cgroup counts it."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from trimtab.sensors.share.process_tree import PROC, ProcessStat, read_stat


class TreeTime:
    """Adds up the CPU time of processes that come and go.

    The time of a child that has ended is told by its parent, once it has waited for it; of one that nobody
    waits for, what it worked since the reading before is lost.
    """

    def __init__(self, proc: Path = PROC) -> None:
        self._proc = proc
        self._last: dict[int, ProcessStat] = {}
        self._total = 0

    def ticks(self, pids: Iterable[int]) -> int:
        """Return the clock ticks that the processes have worked since the first call; it never falls."""
        told = {pid: read_stat(pid, self._proc) for pid in pids}
        stats = {pid: stat for pid, stat in told.items() if stat is not None}
        self._total += max(0, self._gained(stats) - self._told_by_parents(stats))
        self._last = stats
        return self._total

    def _gained(self, stats: dict[int, ProcessStat]) -> int:
        gained, counted = 0, set(self._last)
        for pid, stat in sorted(stats.items(), key=lambda item: item[1].start):
            before = self._last.get(pid)
            if before is not None and _is(before, stat):
                gained += stat.cpu - before.cpu
            elif stat.parent in counted:
                gained += stat.cpu  # a new child; a rank that has joined begins to count now
                counted.add(pid)
        return gained

    def _told_by_parents(self, stats: dict[int, ProcessStat]) -> int:
        """Return what was counted of processes that have ended: their parents tell all of their time now."""
        ended = (last for pid, last in self._last.items() if not _is(last, stats.get(pid)))
        return sum(last.cpu for last in ended if last.parent in stats)


def _is(last: ProcessStat, now: ProcessStat | None) -> bool:
    """Tell whether two stats of a pid are of one process."""
    return now is not None and now.start == last.start
