"""The processes that descend from others, and what they have used of the CPUs, from `/proc`."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path
from typing import Final, NamedTuple

PROC: Final = Path("/proc")
_LONGEST: Final = 4096


class ProcessStat(NamedTuple):
    """What `/proc/<pid>/stat` says: the parent, and clock ticks.

    `start` is since the start of the machine: with it, a pid names one process only. `cpu` is the time that
    the process has worked, and that those children had worked which it has waited for.
    """

    parent: int
    start: int
    cpu: int


def read_stat(pid: int, proc: Path = PROC) -> ProcessStat | None:
    """Return what is told of a process, None if there is none of this pid; see proc_pid_stat(5)."""
    text = _read(f"{proc}/{pid}/stat")
    if text is None:
        return None
    fields = text[text.rfind(b")") + 2 :].split()  # the name before it may hold anything
    return ProcessStat(int(fields[1]), int(fields[19]), sum(map(int, fields[11:15])))


def _read(file: str) -> bytes | None:
    """Return the beginning of a file; `Path.read_bytes` takes thrice as long, once a process and second."""
    try:
        descriptor = os.open(file, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return None
    try:
        return os.read(descriptor, _LONGEST)
    except OSError:
        return None  # the process has ended meanwhile
    finally:
        os.close(descriptor)


class ProcessTree:
    """Knows who descends from whom; a process is asked for its parent once."""

    def __init__(self, proc: Path = PROC) -> None:
        self._proc = proc
        self._parents: dict[int, int] = {}

    def look(self) -> None:
        """See which processes there are.

        Raises:
            OSError: there is no `/proc`.
        """
        known, self._parents = self._parents, {}
        with os.scandir(self._proc) as entries:
            pids = [int(entry.name) for entry in entries if entry.name.isdigit()]
        for pid in pids:
            parent = known.get(pid)
            if parent is None:
                stat = read_stat(pid, self._proc)
                parent = None if stat is None else stat.parent
            if parent is not None:
                self._parents[pid] = parent

    def below(self, roots: Iterable[int]) -> frozenset[int]:
        """Return the processes `roots` and all that descend from them, as they were when looked at."""
        children: dict[int, list[int]] = {}
        for pid, parent in self._parents.items():
            children.setdefault(parent, []).append(pid)
        found: set[int] = set()
        todo = [pid for pid in roots if pid in self._parents]
        while todo:
            pid = todo.pop()
            if pid not in found:
                found.add(pid)
                todo += children.get(pid, ())
        return frozenset(found)
