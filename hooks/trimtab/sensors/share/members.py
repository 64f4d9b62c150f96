"""Which processes of this host are a run's, told among its ranks by small files beside the sampler's locks.

A rank's file is empty; its name says the run, the pid, when that process started, and the pids' namespace: a
rank in a container of its own has pids that mean nothing here. A file that outlived its process is known by
that start, and removed.
"""

from __future__ import annotations

import contextlib
import os
import re
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final, NamedTuple

from trimtab.sensors.share.process_tree import PROC, ProcessTree, read_stat

REFRESH_S: Final = 5.0
"""How old an answer may be: a scan of `/proc` is too dear to make at every reading."""
_SUFFIX: Final = ".member"
_NAME: Final = re.compile(r"(?P<run>.+)-(?P<space>\d+)-(?P<pid>\d+)-(?P<start>\d+)\.member")


class _Ranks(NamedTuple):
    """The ranks on this host that live, by run; and with all that descends from them, where that is told."""

    by_run: dict[str, frozenset[int]]
    with_children: dict[str, frozenset[int]]


class Members:
    """The processes of one run on this host; for any thread."""

    def __init__(
        self,
        run: str,
        boot_id: str,
        folder: Path,
        *,
        pid: int | None = None,
        proc: Path = PROC,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.run = run
        self._prefix = f"trimtab-{boot_id}-"
        self._folder = folder
        self._pid = os.getpid() if pid is None else pid
        self._proc = proc
        self._clock = clock
        self._tree = ProcessTree(proc)
        self._lock = threading.Lock()
        self._file: Path | None = None
        self._known: tuple[float, _Ranks] | None = None

    def join(self) -> None:
        """Say that this process is one of the run; where there is no `/proc`, or no room, do nothing."""
        stat, space = read_stat(self._pid, self._proc), self._namespace()
        if stat is not None and space:
            file = self._folder / f"{self._prefix}{self.run}-{space}-{self._pid}-{stat.start}{_SUFFIX}"
            if _touched(file):
                self._file = file
        self._known = None

    def leave(self) -> None:
        """Take that back."""
        if self._file is not None:
            with contextlib.suppress(OSError):
                self._file.unlink()
            self._file = None

    def pids(self) -> frozenset[int] | None:
        """Return the run's ranks on this host with their children; None where `/proc` cannot tell."""
        return self._look().with_children.get(self.run)

    def pids_of_all(self) -> frozenset[int]:
        """Return the ranks on this host of all runs, with their children."""
        return frozenset().union(*self._look().with_children.values())

    def ranks(self) -> frozenset[int]:
        """Return the run's ranks on this host, without their children."""
        return self._look().by_run.get(self.run, frozenset())

    def others(self) -> dict[str, frozenset[int]]:
        """Return the ranks on this host of each other run."""
        return {run: pids for run, pids in self._look().by_run.items() if run != self.run}

    def _look(self) -> _Ranks:
        with self._lock:
            now = self._clock()
            if self._known is None or now - self._known[0] >= REFRESH_S:
                self._known = now, self._find()
            return self._known[1]

    def _find(self) -> _Ranks:
        by_run: dict[str, set[int]] = {}
        if self._file is not None:
            _touched(self._file)  # it may have been tidied away as one of many days ago
        for file, run, pid, start in self._files():
            if self._lives(pid, start):
                by_run.setdefault(run, set()).add(pid)
            else:
                _remove(file)
        ranks = {run: frozenset(pids) for run, pids in by_run.items()}
        return _Ranks(ranks, self._with_children(ranks))

    def _files(self) -> Iterator[tuple[Path, str, int, int]]:
        """Yield each rank's file with its run, pid and start, of those whose pids mean something here."""
        space = self._namespace()
        with contextlib.suppress(OSError):
            for file in self._folder.glob(f"{self._prefix}*{_SUFFIX}"):
                name = _NAME.fullmatch(file.name.removeprefix(self._prefix))
                if name and name["space"] == space:
                    yield file, name["run"], int(name["pid"]), int(name["start"])

    def _with_children(self, ranks: dict[str, frozenset[int]]) -> dict[str, frozenset[int]]:
        try:
            self._tree.look()
        except OSError:
            return {}
        return {run: self._tree.below(pids) for run, pids in ranks.items()}

    def _lives(self, pid: int, start: int) -> bool:
        stat = read_stat(pid, self._proc)
        return stat is not None and stat.start == start

    def _namespace(self) -> str:
        """Return the number of the pids' namespace, "" where it is not told."""
        try:
            return (self._proc / "self/ns/pid").readlink().name.strip("pid:[]")
        except OSError:
            return ""


def _touched(file: Path) -> bool:
    try:
        file.touch(mode=0o644)
    except OSError:
        return False
    return True


def _remove(file: Path) -> None:
    with contextlib.suppress(OSError):  # another's file, or another removed it first
        file.unlink()
