"""What the fold did since the last commit, gathered into the next."""

from __future__ import annotations

from collections.abc import Sequence

from trimtab_monitor.entries import Tick
from trimtab_monitor.folding.effects import Effects
from trimtab_monitor.folding.fleet import Fleet
from trimtab_monitor.folding.fold_run import Positioned
from trimtab_monitor.folding.run_state import RunState, summarise
from trimtab_monitor.liveness import LIVE
from trimtab_monitor.store.protocols import Commit, RunSnapshot


class CommitBuilder:
    """Gathers behind log position `after`."""

    def __init__(self, after: int) -> None:
        self.after = after
        self._effects: dict[str, Effects] = {}
        self._changed: set[str] = set()

    @property
    def has_effects(self) -> bool:
        """Whether somebody waits for the commit."""
        return bool(self._effects)

    def is_empty(self, position: int) -> bool:
        """Whether nothing was folded up to `position`."""
        return position == self.after

    def add(self, run: str, entries: Sequence[Positioned], effects: Effects) -> None:
        """These entries of a run were folded."""
        if effects:
            self._effects.setdefault(run, Effects()).merge(effects)
        # A tick that has no effect changes nothing: a thousand quiet runs cost nothing to tick.
        if effects or not all(isinstance(entry, Tick) for _, entry in entries):
            self._changed.add(run)

    def build(self, position: int, fleet: Fleet) -> Commit:
        """The commit of all that, up to `position`."""
        effects = self._effects.items()
        states = [state for run in sorted(self._changed) if (state := fleet.get(run)) is not None]
        return Commit(
            after=self.after,
            position=position,
            runs=[_snapshot(state, fleet.packed(state.run)) for state in states],
            incidents=[(run, incident) for run, each in effects for incident in each.incidents.values()],
            commands=[(run, command) for run, each in effects for command in each.commands.values()],
            alerts=[alert for _, each in effects for alert in each.alerts.values()],
            deliveries=[delivery for _, each in effects for delivery in each.deliveries],
        )


def _snapshot(state: RunState, packed: bytes) -> RunSnapshot:
    return RunSnapshot(
        run=state.run,
        created=state.created,
        heard=state.liveness.heard,
        live=state.status in LIVE,
        summary=summarise(state),
        state=packed,
    )
