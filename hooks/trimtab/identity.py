"""Who a process is to the collector: its run, its rank in it, and the machine that it runs on."""

from __future__ import annotations

import os
import re
import secrets
import socket
import sys
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Final

from trimtab import cluster

# "." and ".." would be other folders and other paths.
RUN_PATTERN: Final = re.compile(r"(?!\.{1,2}$)[A-Za-z0-9._-]{1,128}")
_BOOT_ID: Final = Path("/proc/sys/kernel/random/boot_id")


@dataclass(frozen=True, slots=True)
class RunIdentity:
    """What is fixed for the life of one process; kept beside its ring, so that another can speak for it.

    `attempt` is the attempt that the process began with. `registration` is the body of `POST /v1/runs`.
    `url` is the collector that it sent to, None for the embedded one of its directory.

    Raises:
        ValueError: the run's id, the attempt or the rank is none.
    """

    run: str
    attempt: int
    rank: int
    pid: int
    host: str
    boot_id: str
    registration: Mapping[str, Any] = field(default_factory=dict)
    url: str | None = None

    def __post_init__(self) -> None:
        check_run_id(self.run)
        for name in ("attempt", "rank", "pid"):
            value = getattr(self, name)
            if not isinstance(value, int) or value < 0:
                raise ValueError(f"{name}: {value!r}: give an integer, 0 or more")


def check_run_id(run: str) -> str:
    """Return the run's id, or raise ValueError with the remedy."""
    if not RUN_PATTERN.fullmatch(run):
        raise ValueError(
            f"run id: {run!r}: use 1 to 128 letters, digits, dots, underscores and hyphens, "
            "and not dots alone"
        )
    return run


def new_run_id(project: str, unix_seconds: float, salt: str | None = None) -> str:
    """Make a run's id: `<project>-<yyyymmdd-hhmmss>-<4 hex>`, in UTC."""
    name = re.sub(r"[^A-Za-z0-9._-]+", "-", project).strip("-")[:96] or "run"
    moment = time.strftime("%Y%m%d-%H%M%S", time.gmtime(unix_seconds))
    return f"{name}-{moment}-{salt or secrets.token_hex(2)}"


@dataclass(frozen=True, slots=True)
class Place:
    """Where among its peers a process stands: its global rank of `world_size`."""

    rank: int = 0
    world_size: int = 1


def find_place(environ: Mapping[str, str]) -> Place:
    """Ask torch.distributed if it is up, else the launcher's environment; alone if neither knows.

    torch is not imported for it: a process group can be up only if the job has imported it already.
    """
    distributed = process_group()
    if distributed is not None:
        return Place(int(distributed.get_rank()), int(distributed.get_world_size()))
    launched = cluster.launched_place(environ)
    return Place() if launched is None else Place(*launched)


def process_group() -> Any | None:
    """Return `torch.distributed` if the job has set up a process group, else None."""
    distributed = sys.modules.get("torch.distributed")
    if distributed is None or not distributed.is_available() or not distributed.is_initialized():
        return None
    return distributed


def host_name() -> str:
    """Return the machine's name as its peers know it."""
    return socket.gethostname()


def boot_id() -> str:
    """Return what tells one start of the machine from the next; counters mean nothing across two."""
    try:
        return _BOOT_ID.read_text().strip()
    except OSError:
        import psutil

        return f"boot-{int(psutil.boot_time())}"


def this_process(
    run: str, attempt: int, rank: int, registration: Mapping[str, Any], url: str | None
) -> RunIdentity:
    """Return the identity of the calling process."""
    return RunIdentity(run, attempt, rank, os.getpid(), host_name(), boot_id(), registration, url)
