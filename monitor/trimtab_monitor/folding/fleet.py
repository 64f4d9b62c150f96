"""The states in memory: of every live run, and of any other while something of it is folded."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from typing import Final

import msgspec

from trimtab_monitor.entries import CollectorStarted, Entry, Record, Registered, Tick, entry_of
from trimtab_monitor.folding.fold_run import Positioned, fold_run
from trimtab_monitor.folding.run_state import RunState, new_run, pack, unpack
from trimtab_monitor.liveness import LIVE
from trimtab_monitor.settings import Settings
from trimtab_monitor.store.protocols import Log, State

log = logging.getLogger(__name__)

REBUILD_ENTRIES: Final = 512


class Fleet:
    """Loads states when they are needed and lets go of those of ended runs once they are committed.

    Each is kept as it is and encoded: a fold that fails goes back to that, a commit writes it.
    """

    def __init__(self, source: Log, state: State, settings: Settings) -> None:
        self._log = source
        self._state = state
        self._settings = settings
        self._runs: dict[str, RunState] = {}
        self._packed: dict[str, bytes] = {}

    def load_live(self) -> None:
        """Load every live run."""
        for run in self._state.live():
            self.get(run)

    def get(self, run: str) -> RunState | None:
        """The run's state; none if it never registered."""
        if run not in self._runs:
            packed = self._state.load(run)
            if packed is not None:
                self._load(run, packed)
        return self._runs.get(run)

    def packed(self, run: str) -> bytes:
        """The state of a run that `get` or `put` knows, encoded."""
        return self._packed[run]

    def put(self, state: RunState, packed: bytes) -> None:
        """Take in a state, and the same encoded."""
        self._runs[state.run], self._packed[state.run] = state, packed

    def live(self) -> list[RunState]:
        """The runs that the clock may change."""
        return [state for state in self._runs.values() if state.status in LIVE]

    def release(self, runs: Iterable[str]) -> None:
        """Let go of those that have ended."""
        for run in runs:
            if self._runs[run].status not in LIVE:
                del self._runs[run], self._packed[run]

    def _load(self, run: str, packed: bytes) -> None:
        try:
            self.put(unpack(packed), packed)
        except msgspec.DecodeError as error:
            log.warning("run %s: its state is of another version, folding it anew: %s", run, error)
            state = self._rebuild(run)
            self.put(state, pack(state))

    def _rebuild(self, run: str) -> RunState:
        """Fold the run again from its first entry. What it did is done: only the state counts."""
        position, upto = 0, self._state.position()
        state: RunState | None = None
        while records := self._log.read_run(run, position, upto, REBUILD_ENTRIES):
            position = records[-1].position
            entries = [(record.position, entry) for record in records if (entry := read_entry(record))]
            if state is None:
                state = _first_state(entries, self._settings)
            if state is not None:
                state = fold_run(state, entries, self._settings).state
        assert state is not None, "a run with a state has registered"
        return state


def read_entry(record: Record) -> Entry | None:
    """Decode an entry; none, and a line in the log, if this version cannot read it."""
    try:
        return entry_of(record)
    except ValueError:  # msgspec's errors and the wire's are
        log.exception("fold: entry %d cannot be read and is skipped", record.position)
        return None


def _first_state(entries: list[Positioned], settings: Settings) -> RunState | None:
    for i, (_, entry) in enumerate(entries):
        if isinstance(entry, Registered):
            del entries[:i]
            return new_run(entry.run, entry.time, entry.registration, settings)
    return None


def is_for_all(entry: object) -> bool:
    """Whether an entry is of no run, and so of every live one."""
    return isinstance(entry, Tick | CollectorStarted)
