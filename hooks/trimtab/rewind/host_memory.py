"""How much host memory this process may still take, container limits included."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

import psutil

_CGROUP_ROOT = Path("/sys/fs/cgroup")
_OWN_CGROUP = Path("/proc/self/cgroup")


def available_bytes(cgroup_root: Path = _CGROUP_ROOT, own_cgroup: Path = _OWN_CGROUP) -> int:
    """Return the bytes that can be taken without swapping or running into a memory limit (cgroup v2)."""
    free = int(psutil.virtual_memory().available)
    return max(0, min([free, *_cgroup_headrooms(cgroup_root, own_cgroup)]))


def processes_on_host(environ: Mapping[str, str] = os.environ) -> int:
    """Return how many ranks share this host's memory, as the launcher says; 1 where it says nothing."""
    for name in ("LOCAL_WORLD_SIZE", "SLURM_NTASKS_PER_NODE", "OMPI_COMM_WORLD_LOCAL_SIZE"):
        if environ.get(name, "").isdigit():
            return max(1, int(environ[name]))
    return 1


def _cgroup_headrooms(root: Path, own_cgroup: Path) -> list[int]:
    """Return what is left below the limit of this process's cgroup and of each one above it."""
    headrooms: list[int] = []
    for group in _groups(root, own_cgroup):
        limit, used = _number(group / "memory.max"), _number(group / "memory.current")
        if limit is not None and used is not None:
            headrooms.append(limit - used + _reclaimable(group / "memory.stat"))
    return headrooms


def _groups(root: Path, own_cgroup: Path) -> list[Path]:
    for line in _text(own_cgroup).splitlines():
        if line.startswith("0::"):
            own = root / line[3:].lstrip("/")
            return [own, *(parent for parent in own.parents if parent.is_relative_to(root))]
    return [root]


def _reclaimable(stat: Path) -> int:
    """Return the page cache that the kernel gives up first; it counts as used."""
    for line in _text(stat).splitlines():
        name, _, value = line.partition(" ")
        if name == "inactive_file" and value.isdigit():
            return int(value)
    return 0


def _number(path: Path) -> int | None:
    text = _text(path).strip()
    return int(text) if text.isdigit() else None


def _text(path: Path) -> str:
    try:
        return path.read_text()
    except OSError:
        return ""
