"""The states in memory: of every live run, and of any other while something of it is folded."""

from __future__ import annotations

import logging
from collections.abc import Iterable
from typing import Final

import msgspec

from trimtab_monitor.entries import CollectorStarted, Registered, Tick, entry_of
from trimtab_monitor.folding.fold_run import Positioned, fold_run
from trimtab_monitor.folding.run_state import RunState, new_run, unpack
from trimtab_monitor.liveness import LIVE
from trimtab_monitor.settings import Settings
from trimtab_monitor.store.protocols import Log, State

log = logging.getLogger(__name__)

REBUILD_ENTRIES: Final = 512


class Fleet:
    """Loads states when they are needed and lets go of those of ended runs once they are committed."""

    def __init__(self, source: Log, state: State, settings: Settings) -> None:
        self._log = source
        self._state = state
        self._settings = settings
        self._runs: dict[str, RunState] = {}

    def load_live(self) -> None:
        """Load every live run."""
        for run in self._state.live():
            self.get(run)

    def get(self, run: str) -> RunState | None:
        """The run's state; none if it never registered."""
        if run not in self._runs:
            packed = self._state.load(run)
            if packed is not None:
                self._runs[run] = self._unpack(run, packed)
        return self._runs.get(run)

    def put(self, state: RunState) -> None:
        """Take in a state that was folded."""
        self._runs[state.run] = state

    def live(self) -> list[RunState]:
        """The runs that the clock may change."""
        return [state for state in self._runs.values() if state.status in LIVE]

    def release(self, runs: Iterable[str]) -> None:
        """Let go of those that have ended."""
        for run in runs:
            if self._runs[run].status not in LIVE:
                del self._runs[run]

    def _unpack(self, run: str, packed: bytes) -> RunState:
        try:
            return unpack(packed)
        except msgspec.DecodeError as error:
            log.warning(
                "run %s: its state is of another version, folding it anew from the log: %s", run, error
            )
            return self._rebuild(run)

    def _rebuild(self, run: str) -> RunState:
        """Fold the run again from its first entry. What it did is done: only the state counts."""
        position, upto = 0, self._state.position()
        state: RunState | None = None
        while records := self._log.read_run(run, position, upto, REBUILD_ENTRIES):
            position = records[-1].position
            entries: list[Positioned] = [(record.position, entry_of(record)) for record in records]
            if state is None:
                state = _first_state(entries, self._settings)
            if state is not None:
                state = fold_run(state, entries, self._settings).state
        assert state is not None, "a run with a state has registered"
        return state


def _first_state(entries: list[Positioned], settings: Settings) -> RunState | None:
    for i, (_, entry) in enumerate(entries):
        if isinstance(entry, Registered):
            del entries[:i]
            return new_run(entry.run, entry.time, entry.registration, settings)
    return None


def is_for_all(entry: object) -> bool:
    """Whether an entry is of no run, and so of every live one."""
    return isinstance(entry, Tick | CollectorStarted)
