"""The store that a collector left behind. Nothing is written to it."""

from __future__ import annotations

import time
from pathlib import Path

from trimtab_monitor.entries import Registered, entry_of
from trimtab_monitor.folding.effects import Effects
from trimtab_monitor.folding.fleet import Fleet
from trimtab_monitor.folding.fold_run import Positioned, fold_run
from trimtab_monitor.folding.run_state import RunState, new_run, summarise
from trimtab_monitor.json_out import to_plain
from trimtab_monitor.pricing.intensity.assembly import kept_intensities
from trimtab_monitor.report.build import RunView
from trimtab_monitor.run_ledger import RunLedgers
from trimtab_monitor.series.reader import SeriesReader
from trimtab_monitor.settings import Settings
from trimtab_monitor.store.sqlite import SqliteStore

_CHUNK = 512


class StoreSource:
    """The runs in the SQLite file `path`, as of the last entry of its log.

    What the collector had not yet judged when it ended is judged here.

    Raises:
        StoreError: the file cannot be opened.
    """

    def __init__(self, path: Path, settings: Settings) -> None:
        self.where = str(path)
        self._store = SqliteStore(path)
        self._settings = settings
        kept = kept_intensities(settings.energy, self._store)
        series = SeriesReader(self._store.log, settings.storage.series_cache_bytes)
        self._ledgers = RunLedgers(self._store, settings, series, time.time, kept)

    def runs(self, project: str | None = None) -> list[str]:
        """See Source."""
        judged = {each.run: each.registration.project for each in self._store.views.summaries()}
        unjudged = sorted(self._store.log.known_runs().difference(judged))
        if project is None:
            return [*unjudged, *judged]
        of_unjudged = {run: self._fold_rest(run)[0].registration.project for run in unjudged}
        return [run for run, its in {**of_unjudged, **judged}.items() if its == project]

    def view(self, run: str) -> RunView:
        """See Source."""
        state, since = self._fold_rest(run)
        views = self._store.views
        incidents = {each.id: each for each in views.incidents(run)} | since.incidents
        commands = {each.id: each for each in views.commands(run)} | since.commands
        return RunView(
            run=to_plain(summarise(state).as_json()),
            incidents=[to_plain(each.as_json()) for each in incidents.values()],
            commands=[to_plain(each) for each in commands.values()],
            ledger=to_plain(self._ledgers.tell(state)),
        )

    def close(self) -> None:
        """See Source."""
        self._store.close()

    def _fold_rest(self, run: str) -> tuple[RunState, Effects]:
        """The run's state after all of the log, and what its unjudged rest did."""
        state = Fleet(self._store.log, self._store.state, self._settings).get(run)
        effects = Effects()
        after, upto = self._store.state.position(), self._store.log.end()
        while records := self._store.log.read_run(run, after, upto, _CHUNK):
            after = records[-1].position
            entries: list[Positioned] = [(record.position, entry_of(record)) for record in records]
            state = state or _first_state(entries, self._settings)
            if state is not None:
                folded = fold_run(state, entries, self._settings)
                state = folded.state
                effects.merge(folded.effects)
        assert state is not None, "a run that is known has registered"
        return state, effects


def _first_state(entries: list[Positioned], settings: Settings) -> RunState | None:
    """The state from which the run's first registration starts; entries before that are taken out."""
    while entries:
        entry = entries[0][1]
        if isinstance(entry, Registered):
            return new_run(entry.run, entry.time, entry.registration, settings)
        del entries[0]
    return None
