"""The control group of a job or container: how many cores it may use, and how long it has used them.

Only version 2 of cgroups is read, where it is mounted as a whole. Sources: the kernel's documentation of
control groups v2 (cpu.stat, cpu.max, cpuset.cpus.effective), and how Slurm, Kubernetes, Docker, Podman, PBS
and LSF name the groups that they make.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple

from trimtab.sensors.files import text
from trimtab.sensors.share.process_tree import PROC

CGROUPS: Final = Path("/sys/fs/cgroup")
_ID: Final = r"[0-9a-f]{12,64}"
_ENGINE: Final = r"(?:docker|libpod|crio|cri-containerd|containerd)"
_JOBS: Final = tuple(
    re.compile(rf"({job})(?:/.*)?")
    for job in (
        r"/.*/job_\d+",  # Slurm: below it are the steps and tasks
        r"/.*/jobid/[^/]+",  # PBS
        r"/lsf/[^/]+/job\.[^/]+",
        rf"/(?:.*/)?kubepods.*/[^/]*{_ID}[^/]*",
        rf"/(?:.*/)?{_ENGINE}-{_ID}\.scope",
        rf"/(?:.*/)?{_ENGINE}/{_ID}",
    )
)
_SHARED: Final = ("user.slice", "system.slice", "init.scope")


class Group(NamedTuple):
    """The cgroup that a process is in; `own`: nothing is in it but one job or container."""

    folder: Path
    own: bool


def group_of(pid: int, proc: Path = PROC, mount: Path = CGROUPS) -> Group | None:
    """Return the job's or the container's cgroup that a process is in, else the innermost; None: not told."""
    path = _path(proc / str(pid) / "cgroup")
    if path is None or "/.." in path:
        return None
    own = job_path(path)
    folder = mount / (own or path).strip("/")
    if not (folder / "cgroup.controllers").exists():
        return None
    # What is seen as the root has a type only if it is not: it is the container's.
    return Group(folder, own is not None or (path == "/" and (folder / "cgroup.type").exists()))


def job_path(path: str) -> str | None:
    """Return the part of a cgroup's path that is one job's; None: a session's, a service's, or the root.

    >>> job_path("/system.slice/slurmstepd.scope/job_42/step_0/user/task_3")
    '/system.slice/slurmstepd.scope/job_42'
    >>> job_path("/user.slice/user-1000.slice/session-3.scope")
    """
    for pattern in _JOBS:
        if found := pattern.fullmatch(path):
            return found[1]
    first = path.strip("/").partition("/")[0]
    return path if first and first not in _SHARED else None


def cores_of(group: Group, mount: Path = CGROUPS) -> float | None:
    """Return how many cores a group may use at most, by its CPUs and its quota; None: no limit is told."""
    limits = [limit for folder in _upwards(group.folder, mount) for limit in _limits(folder)]
    return min(limits, default=None)


def worked_s(group: Group) -> float | None:
    """Return the seconds that the group's processes have worked, those that ended too; None: not told."""
    for line in text(group.folder / "cpu.stat").splitlines():
        name, _, value = line.partition(" ")
        if name == "usage_usec" and value.isdigit():
            return int(value) * 1e-6
    return None


def _path(file: Path) -> str | None:
    lines = text(file).splitlines()
    return next((line.removeprefix("0::") for line in lines if line.startswith("0::")), None)


def _upwards(folder: Path, mount: Path) -> Iterator[Path]:
    yield folder
    while folder != mount:
        folder = folder.parent
        yield folder


def _limits(folder: Path) -> Iterator[float]:
    cpus = text(folder / "cpuset.cpus.effective")
    if cpus:
        yield sum(_width(part) for part in cpus.split(","))
    quota, _, period = text(folder / "cpu.max").partition(" ")
    if quota.isdigit() and period.isdigit():
        yield int(quota) / int(period)


def _width(part: str) -> int:
    """Return how many CPUs a part of a list has: `3` or `0-7`."""
    first, _, last = part.partition("-")
    return int(last or first) - int(first) + 1
