"""Which run and which attempt of it a process belongs to.

The ranks of a job must agree on the run without a collective, which would hang where only one of them is
watched: they ask the store of their process group, and a file that the children of one launcher share. A
process that is started again under the same run must not use an attempt again: the last one used is kept in a
file too.
"""

from __future__ import annotations

import fcntl
import hashlib
import itertools
import logging
import os
import time
from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from trimtab.identity import Place, check_run_id, new_run_id
from trimtab.job_settings import JobSettings
from trimtab.rewind.group_store import CompareSet, group_store

LOG = logging.getLogger("trimtab")

_RESTART_COUNTS: Final = ("TORCHELASTIC_RESTART_COUNT", "SLURM_RESTART_COUNT")
_KEPT_SECONDS: Final = 30 * 86400.0
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
    least = max([settings.attempt or 0, *_restart_counts(environ)])
    alone = settings.run is None and place.world_size == 1
    if alone:
        return Membership(new_run_id(project, time.time()), least, noted=False)
    try:
        run = settings.run or agree_on_run(project, folder, group_store(), next(_calls))
        run = _not_taken(run, taken)
        return Membership(run, next_attempt(folder, run, place.rank, least), noted=True)
    except OSError as error:
        LOG.warning("trimtab: %s: %s: set TRIMTAB_RUN and, at each restart, TRIMTAB_ATTEMPT", folder, error)
        return Membership(settings.run or new_run_id(project, time.time()), least, noted=False)


def _not_taken(run: str, taken: Collection[str]) -> str:
    """Return the run's id, with a number if this process watches that run with another model."""
    others = (f"{run[:120]}-{number}" for number in itertools.count(2))
    return next(name for name in itertools.chain([run], others) if name not in taken)


def agree_on_run(project: str, folder: Path, store: CompareSet | None, ordinal: int) -> str:
    """Return the run of the calling process, the same for all ranks of its job.

    `ordinal` counts the calls of `watch()` in the process: the n-th of each rank belong together. Without a
    `store`, only the ranks of one host agree.

    Raises:
        OSError: the folder cannot be used.
    """
    file = folder / "launches" / f"{launcher_key()}-{ordinal}"
    known = _read(file)
    proposal = known or new_run_id(project, time.time())
    run = _agreed(store, f"trimtab/run/{ordinal}", proposal) if store is not None else None
    if run is None:
        run = _first_writer(file, proposal)
    elif run != known:
        _replace(file, run)
    return check_run_id(run)


def _agreed(store: CompareSet, key: str, proposal: str) -> str | None:
    """Propose a run to all ranks; the first proposal counts. None: this store cannot tell."""
    try:
        return bytes(store.compare_set(key, "", proposal)).decode()
    except (RuntimeError, NotImplementedError) as error:
        LOG.warning("trimtab: the process group's store gives no common run id: %s", error)
        return None


def launcher_key() -> str:
    """Name the process that launched this one: its children on this host are ranks of the same job."""
    import psutil

    parent = os.getppid()
    try:
        started = psutil.Process(parent).create_time()
    except psutil.Error:
        started = 0.0
    return hashlib.sha256(f"{parent}:{started:.2f}:{os.uname().nodename}".encode()).hexdigest()[:16]


def next_attempt(folder: Path, run: str, rank: int, least: int) -> int:
    """Return an attempt of the run that no process of this rank has used, and note that it is used now.

    Raises:
        OSError: the folder cannot be used.
    """
    with _Noted(_attempt_file(folder, run, rank)) as noted:
        attempt = max(least, noted.last + 1)
        noted.write(attempt)
    return attempt


def note_attempt(folder: Path, run: str, rank: int, attempt: int) -> None:
    """Note that a process has gone on to a further attempt, before anything of it is recorded."""
    with _Noted(_attempt_file(folder, run, rank)) as noted:
        noted.write(max(attempt, noted.last))


def _restart_counts(environ: Mapping[str, str]) -> Iterator[int]:
    for name in _RESTART_COUNTS:
        if environ.get(name, "").isdecimal():
            yield int(environ[name])


def _attempt_file(folder: Path, run: str, rank: int) -> Path:
    return folder / "attempts" / f"{run}.r{rank}"


class _Noted:
    """A number in a file, held for as long as the block runs; -1 where there is none."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True)
        _forget_old(path.parent)
        self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)

    def __enter__(self) -> _Noted:
        fcntl.flock(self._descriptor, fcntl.LOCK_EX)
        text = os.pread(self._descriptor, 32, 0).strip()
        self.last = int(text) if text.isdigit() else -1
        return self

    def write(self, number: int) -> None:
        os.pwrite(self._descriptor, b"%-31d\n" % number, 0)

    def __exit__(self, *_: object) -> None:
        os.close(self._descriptor)


def _forget_old(folder: Path) -> None:
    horizon = time.time() - _KEPT_SECONDS
    for path in folder.iterdir():
        if path.stat().st_mtime < horizon:
            path.unlink(missing_ok=True)


def _read(file: Path) -> str | None:
    try:
        return file.read_text().strip() or None
    except FileNotFoundError:
        return None


def _first_writer(file: Path, text: str) -> str:
    """Write the file unless it is there; return what it says."""
    file.parent.mkdir(parents=True, exist_ok=True)
    _forget_old(file.parent)
    own = file.with_name(f"{file.name}.{os.getpid()}")
    own.write_text(text)
    try:
        os.link(own, file)
    except FileExistsError:
        return file.read_text().strip()
    finally:
        own.unlink()
    return text


def _replace(file: Path, text: str) -> None:
    file.parent.mkdir(parents=True, exist_ok=True)
    own = file.with_name(f"{file.name}.{os.getpid()}")
    own.write_text(text)
    own.replace(file)
