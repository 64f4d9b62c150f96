"""The fold at work: one thread reads the log by position, folds, and commits.

State, position and effects are committed in one transaction: at once when there are effects, else every
`snapshot_every_s`, so that a restart folds little again. A collector killed between two commits folds the
same entries again, and as the fold is deterministic nothing is lost and nothing done twice.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable, Sequence
from typing import Final

from trimtab.wire import Command
from trimtab_monitor.entries import BatchReceived, Entry, Record, Registered
from trimtab_monitor.folding.commit_builder import CommitBuilder
from trimtab_monitor.folding.fleet import Fleet, is_for_all, read_entry
from trimtab_monitor.folding.fold import fold
from trimtab_monitor.folding.fold_run import Fold, Positioned, fold_run
from trimtab_monitor.folding.pending_commands import PendingCommands
from trimtab_monitor.folding.progress import Progress
from trimtab_monitor.folding.run_state import new_run, pack
from trimtab_monitor.folding.told import Listener
from trimtab_monitor.settings import Settings
from trimtab_monitor.store.protocols import Store, StoreUnavailable
from trimtab_monitor.workers import OnCrash, Worker

log = logging.getLogger(__name__)

CHUNK: Final = 128
"""Entries folded between two looks at the clock."""

IDLE_S: Final = 0.5
RETRY_S: Final = 1.0


class Engine:
    """Folds the log as it grows, and tells `listener` of it. `clock` is monotonic, in seconds."""

    def __init__(
        self,
        store: Store,
        settings: Settings,
        *,
        listener: Listener,
        on_crash: OnCrash,
        clock: Callable[[], float] = time.monotonic,
        fold_one: Fold = fold,
    ) -> None:
        self._store = store
        self._settings = settings
        self._listener = listener
        self._clock = clock
        self._fold_one = fold_one
        self._fleet = Fleet(store.log, store.state, settings)
        self._fleet.load_live()
        self._position = store.state.position()
        self._pending = CommitBuilder(self._position)
        self._next_commit = clock()
        self._stopping = threading.Event()
        self._wanting = threading.Lock()
        self._wanted = self._position
        self._worker = Worker("fold", self._run, on_crash)
        self.progress = Progress(self._position)
        self.committed = Progress(self._position)
        self.commands = PendingCommands(store.views.pending_commands())
        self.errors = 0
        self.live = len(self._fleet.live())

    def start(self) -> None:
        """Start the thread."""
        self._worker.start()

    def stop(self) -> None:
        """Fold what is there, commit, and end the thread."""
        self._stopping.set()
        self._store.log.wake()
        self._worker.join()

    def is_alive(self) -> bool:
        """Whether the thread runs."""
        return self._worker.is_alive()

    def commands_of(self, run: str) -> list[Command]:
        """The committed commands of a run that wait for its job."""
        return self.commands.of(run)

    def refresh(self, timeout: float) -> None:
        """See to it that everything in the log by now is folded and committed, within `timeout` seconds.

        So whoever asks sees what he was acknowledged before, and while nobody asks little is written.
        """
        end = self._store.log.end()
        if self.committed.position < end:
            with self._wanting:
                self._wanted = max(self._wanted, end)
            self._store.log.wake()
            self.committed.wait(end, timeout)

    def _run(self) -> None:
        while not self._stopping.is_set():
            self._store.log.wait(self._position, self._patience())
            self._turn()
        while self._turn():
            pass
        self._commit()

    def _patience(self) -> float:
        if self.committed.position < self._wanted:
            return 0.0
        if self._pending.is_empty(self._position):
            return IDLE_S
        return max(0.0, min(IDLE_S, self._next_commit - self._clock()))

    def _turn(self) -> bool:
        """Fold a chunk and commit if it is time to; returns whether there was anything to fold."""
        try:
            records = self._store.log.read(self._position, CHUNK)
        except StoreUnavailable as error:
            log.warning("fold: the log cannot be read, trying again: %s", error)
            self._stopping.wait(RETRY_S)
            return False
        if records:
            self._fold(records)
        if self._is_due():
            self._commit()
        if not self._pending.has_effects:
            self.progress.advance(self._position)
        return bool(records)

    def _is_due(self) -> bool:
        if self._pending.has_effects or self._clock() >= self._next_commit:
            return True
        return self.committed.position < self._wanted <= self._position

    def _fold(self, records: Sequence[Record]) -> None:
        for run, entries in self._by_run(records).items():
            state = self._fleet.get(run)
            assert state is not None, "entries are sorted to runs that are known"
            packed = self._fleet.packed(run)
            folded = fold_run(state, entries, self._settings, self._fold_one, packed)
            self._fleet.put(folded.state, folded.packed)
            self._pending.add(run, entries, folded.effects)
            self.errors += len(folded.skipped)
            self._listener.folded(run, [entry for _, entry in entries if isinstance(entry, BatchReceived)])
        self._position = records[-1].position
        self.live = len(self._fleet.live())

    def _by_run(self, records: Sequence[Record]) -> dict[str, list[Positioned]]:
        """The entries of each run in order; those of no run go to every run that the clock may change."""
        by_run: dict[str, list[Positioned]] = {}
        for record in records:
            entry = read_entry(record)
            if entry is None:
                self.errors += 1
                continue
            if is_for_all(entry):
                for run in sorted({*by_run, *(state.run for state in self._fleet.live())}):
                    by_run.setdefault(run, []).append((record.position, entry))
            elif self._is_known(record.run, entry):
                by_run.setdefault(record.run, []).append((record.position, entry))
        return by_run

    def _is_known(self, run: str, entry: Entry) -> bool:
        if self._fleet.get(run) is not None:
            return True
        if isinstance(entry, Registered):
            state = new_run(run, entry.time, entry.registration, self._settings)
            self._fleet.put(state, pack(state))
            return True
        log.error("fold: an entry of run %s, which never registered, is skipped", run)
        self.errors += 1
        return False

    def _commit(self) -> None:
        self._next_commit = self._clock() + self._settings.storage.snapshot_every_s
        if self._pending.is_empty(self._position):
            return
        commit = self._pending.build(self._position, self._fleet)
        try:
            self._store.state.commit(commit).result()
        except StoreUnavailable as error:
            log.warning("fold: the state cannot be committed, trying again: %s", error)
            self._stopping.wait(RETRY_S)
            return
        self._pending = CommitBuilder(self._position)
        self.committed.advance(self._position)
        self.commands.update(commit.commands)
        self._listener.committed(commit)
        self._fleet.release(snapshot.run for snapshot in commit.runs)
