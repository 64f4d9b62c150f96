"""This job's part of the machine's CPUs, where it is not alone on them.

Held is the part of the cores that is allotted to the job: by the cgroup of its Slurm job, pod or container,
or by the batch system. Used is the CPU time of the job over that of the whole machine. Nothing is told
(`None`) of a job to which, as far as is known, the whole machine is allotted: all that the machine draws is
the job's then, the system's own work included. Runs to which the machine is allotted together hold equal
parts of it, and used it in proportion to their CPU times: all that it draws is theirs.
"""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Final, NamedTuple

from trimtab.sensors.share.cgroups import CGROUPS, Group, cores_of, group_of, worked_s
from trimtab.sensors.share.members import REFRESH_S, Members
from trimtab.sensors.share.process_tree import PROC
from trimtab.sensors.share.tree_time import TreeTime

_TICKS_PER_S: Final = os.sysconf("SC_CLK_TCK")
_LEAST_S: Final = 0.9
"""Over less than this, time counted in hundredths of a second says too little, and costs too much."""
_BATCH_JOBS: Final = ("SLURM_JOB_ID", "PBS_JOBID", "LSB_JOBID")


class Share(NamedTuple):
    """The part of the CPUs' work since the last time that was this job's, and the part allotted to it."""

    used: float | None
    held: float | None


ShareOf = Callable[[], Share]


def all_of_it() -> Share:
    """Say that nobody shares."""
    return Share(None, None)


class Host(NamedTuple):
    """Where this machine tells of its processes, groups and cores."""

    cores: int = os.cpu_count() or 1
    proc: Path = PROC
    cgroups: Path = CGROUPS
    affinity: Callable[[int], set[int]] = getattr(os, "sched_getaffinity", lambda _: set())


class _Bounds(NamedTuple):
    """The part that is held (None: all); the group that counts the job's time (None: its processes do).

    `together`: it is held with other runs, to which the whole machine is allotted as it is to this one.
    """

    held: float | None
    counted: Group | None
    together: bool


class CpuShare:
    """Tells this job's part of the CPUs, anew each second."""

    def __init__(
        self,
        members: Members,
        host: Host | None = None,
        environ: Mapping[str, str] = os.environ,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._members = members
        self._host = host or Host()
        self._environ = environ
        self._clock = clock
        self._ours, self._all = TreeTime(self._host.proc), TreeTime(self._host.proc)
        self._bounds: tuple[float, _Bounds] | None = None
        self._last: tuple[_Bounds, float, float] | None = None
        self._told = clock(), self._measure()

    def __call__(self) -> Share:
        """Return the shares since the time before, or what was told then if that is no second ago."""
        now = self._clock()
        if now - self._told[0] >= _LEAST_S:
            self._told = now, self._measure()
        return self._told[1]

    def _measure(self) -> Share:
        bounds = self._look()
        last, self._last = self._last, None
        if bounds.held is None:
            return all_of_it()
        job_s, whole_s = self._job_s(bounds.counted), self._runs_s() if bounds.together else self._host_s()
        if job_s is None or whole_s is None:
            return Share(None, bounds.held)
        self._last = bounds, job_s, whole_s
        if last is None or last[0] != bounds or whole_s <= last[2]:
            return Share(None, bounds.held)
        return Share(min(1.0, max(0.0, (job_s - last[1]) / (whole_s - last[2]))), bounds.held)

    def _look(self) -> _Bounds:
        now = self._clock()
        if self._bounds is None or now - self._bounds[0] >= REFRESH_S:
            self._bounds = now, self._find()
        return self._bounds[1]

    def _find(self) -> _Bounds:
        groups = {self._group_of(pid) for pid in self._members.ranks()}
        group = groups.pop() if len(groups) == 1 else None
        beside = self._beside(group)
        allotted = min(self._cores(group), self._host.cores) / self._host.cores
        held = allotted / (1 + beside)
        counted = group if group and group.own and not beside else None
        return _Bounds(held if held < 1 else None, counted, allotted == 1)

    def _beside(self, group: Group | None) -> int:
        """Return how many other runs hold what this one holds: all in its group, and all if it has none."""
        others = self._members.others().values()
        if group is None or not group.own:
            return len(others)
        return sum(group in map(self._group_of, ranks) for ranks in others)

    def _cores(self, group: Group | None) -> float:
        """Return how many cores are allotted to the job, all if no limit is known."""
        limit = None if group is None else cores_of(group, self._host.cgroups)
        if limit is not None and limit < self._host.cores:
            return limit
        if not any(self._environ.get(name) for name in _BATCH_JOBS):
            return self._host.cores
        bound = {core for pid in self._members.ranks() for core in self._affinity(pid)}
        told = self._environ.get("SLURM_CPUS_ON_NODE", "")
        # Tasks of a job that has the node to itself may be bound to fewer cores than it holds.
        return max(len(bound), int(told) if told.isdigit() else 0) or self._host.cores

    def _affinity(self, pid: int) -> set[int]:
        try:
            return self._host.affinity(pid)
        except OSError:
            return set()  # it has ended

    def _group_of(self, pid: int) -> Group | None:
        return group_of(pid, self._host.proc, self._host.cgroups)

    def _job_s(self, group: Group | None) -> float | None:
        if group is not None:
            return worked_s(group)
        pids = self._members.pids()
        return None if pids is None else self._ours.ticks(pids) / _TICKS_PER_S

    def _runs_s(self) -> float:
        return self._all.ticks(self._members.pids_of_all()) / _TICKS_PER_S

    def _host_s(self) -> float | None:
        """Return the seconds that the machine's CPUs have worked, all together; see proc_stat(5)."""
        try:
            with (self._host.proc / "stat").open() as file:
                user, nice, system, _idle, _iowait, irq, softirq = map(int, file.readline().split()[1:8])
        except (OSError, ValueError):
            return None
        return (user + nice + system + irq + softirq) / _TICKS_PER_S
