"""Which run and which attempt of it a process belongs to.

The ranks of a job must agree on the run without a collective, which would hang where only one of them is
watched. They make its name from what their launcher told all of them alike (cluster.py); else they ask the
store of their process group, and a file that the children of one launcher share. A process that is started
again under the same run must not use an attempt again: the last one used is kept in a file too.
"""

from __future__ import annotations

import hashlib
import itertools
import logging
import os
import re
import sys
import time
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from trimtab import cluster, notes
from trimtab.identity import Place, check_run_id, new_run_id
from trimtab.job_settings import JobSettings
from trimtab.rewind.group_store import CompareSet, group_store

LOG = logging.getLogger("trimtab")

_LONGEST_PROJECT: Final = 48
_calls = itertools.count()


@dataclass(frozen=True, slots=True)
class Membership:
    """The run of a process, and its attempt; `noted`: other processes may live other attempts of that run."""

    run: str
    attempt: int
    noted: bool


def join(
    project: str, place: Place, settings: JobSettings, environ: Mapping[str, str], taken: Collection[str]
) -> Membership:
    """Say which run and attempt the calling process belongs to; `taken` are runs that it watches already."""
    folder = settings.data_folder(environ)
    least = max(settings.attempt or 0, cluster.restarts(environ))
    key = _job_key(place, environ)
    if settings.run is None and key is None and place.world_size == 1:
        return Membership(new_run_id(project, time.time()), least, noted=False)
    try:
        run = settings.run or _common_run(project, folder, key, environ, next(_calls))
        run = _not_taken(run, taken)
        attempt = notes.next_attempt(folder, run, place.rank, least)
    except OSError as error:
        LOG.warning("trimtab: %s: %s: set TRIMTAB_RUN and, at each restart, TRIMTAB_ATTEMPT", folder, error)
        return Membership(settings.run or new_run_id(project, time.time()), least, noted=False)
    if settings.run is not None and settings.attempt is None and attempt == place.rank == 0:
        _warn_of_pods_made_anew(run, environ)
    return Membership(run, attempt, noted=True)


def _warn_of_pods_made_anew(run: str, environ: Mapping[str, str]) -> None:
    if cluster.in_kubernetes(environ):
        LOG.warning(
            "trimtab: run %s begins with attempt 0, as nothing of it is noted in this pod: where it goes on "
            "in the run of an earlier pod, set TRIMTAB_ATTEMPT to a number that grows each time, or its "
            "steps are taken for repeats and lost",
            run,
        )


def _job_key(place: Place, environ: Mapping[str, str]) -> str | None:
    """Return what names the job; processes of it that have no peers are told apart by their command lines."""
    key = cluster.job_key(environ)
    if key is None or place.world_size > 1:
        return key
    return f"{key}-{hashlib.sha256(repr(sys.argv).encode(errors='replace')).hexdigest()[:4]}"


def _not_taken(run: str, taken: Collection[str]) -> str:
    """Return the run's id, with a number if this process watches that run with another model."""
    others = (f"{run[:120]}-{number}" for number in itertools.count(2))
    return next(name for name in itertools.chain([run], others) if name not in taken)


def _common_run(project: str, folder: Path, key: str | None, environ: Mapping[str, str], ordinal: int) -> str:
    store = group_store()
    if key is None:
        if store is None and cluster.has_peers_elsewhere(environ):
            LOG.warning(
                "trimtab: ranks on other hosts cannot know this run's id: call trimtab.watch() after "
                "init_process_group(), or set TRIMTAB_RUN"
            )
        return agree_on_run(project, folder, store, ordinal)
    named = named_run(project, key, nth_launch(folder, key, environ, launch_of(environ)), ordinal)
    return check_run_id(named if store is None else _agreed(store, _store_key(ordinal), named) or named)


def named_run(project: str, key: str, launch: int, ordinal: int) -> str:
    """Return the id of the run of a job's n-th launch, and of the n-th call of `watch()` in it.

    >>> named_run("gpt", "slurm-4711.0", 0, 0), named_run("gpt", "slurm-4711.0", 1, 2)
    ('gpt-slurm-4711.0', 'gpt-slurm-4711.0-2-w3')
    """
    name = re.sub(r"[^A-Za-z0-9._-]+", "-", project).strip("-")[:_LONGEST_PROJECT] or "run"
    again = f"-{launch + 1}" if launch else ""
    return f"{name}-{key}{again}" + (f"-w{ordinal + 1}" if ordinal else "")


def nth_launch(folder: Path, key: str, environ: Mapping[str, str], launch: str) -> int:
    """Return how many launches this task of the job made before `launch`, since the job was last queued.

    One job, such as a shell within Slurm, may well train several times, one after another.

    Raises:
        OSError: the folder cannot be used.
    """
    task = cluster.node_rank(environ) if cluster.is_elastic(environ) else cluster.local_rank(environ)
    queued = environ.get("SLURM_RESTART_COUNT", "0")
    slot = hashlib.sha256("\n".join((key, os.uname().nodename, f"{task}", queued)).encode()).hexdigest()[:16]
    for nth in itertools.count():
        if notes.first_writer(folder / "launches" / f"{slot}-{nth}", launch) == launch:
            return nth
    raise AssertionError("counting has no end")


def launch_of(environ: Mapping[str, str]) -> str:
    """Name what began this training: torchrun, which starts its workers again, else the process itself."""
    return launcher_key() if cluster.is_elastic(environ) else _process_key(os.getpid())


def agree_on_run(project: str, folder: Path, store: CompareSet | None, ordinal: int) -> str:
    """Return the run of the calling process, the same for all ranks of its job.

    `ordinal` counts the calls of `watch()` in the process: the n-th of each rank belong together. Without a
    `store`, only the ranks of one host agree.

    Raises:
        OSError: the folder cannot be used.
    """
    file = folder / "launches" / f"{launcher_key()}-{ordinal}"
    known = notes.read(file)
    proposal = known or new_run_id(project, time.time())
    run = _agreed(store, _store_key(ordinal), proposal) if store is not None else None
    if run is None:
        run = notes.first_writer(file, proposal)
    elif run != known:
        notes.replace(file, run)
    return check_run_id(run)


def _store_key(ordinal: int) -> str:
    return f"trimtab/run/{ordinal}"


def _agreed(store: CompareSet, key: str, proposal: str) -> str | None:
    """Propose a run to all ranks; the first proposal counts. None: this store cannot tell."""
    try:
        return bytes(store.compare_set(key, "", proposal)).decode()
    except (RuntimeError, NotImplementedError) as error:
        LOG.warning("trimtab: the process group's store gives no common run id: %s", error)
        return None


def launcher_key() -> str:
    """Name the process that launched this one: its children on this host are ranks of the same job."""
    return _process_key(os.getppid())


def _process_key(pid: int) -> str:
    """Name a process of this host: no later one has its name."""
    import psutil

    try:
        started = psutil.Process(pid).create_time()
    except psutil.Error:
        started = 0.0
    return hashlib.sha256(f"{pid}:{started:.2f}:{os.uname().nodename}".encode()).hexdigest()[:16]
