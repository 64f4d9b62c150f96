"""What should come of a run: the same batches folded in one go, with nothing cut and nothing gone wrong."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Sequence
from typing import Any

from trimtab import wire
from trimtab_monitor.entries import BatchReceived, Registered, Registration, draft_of
from trimtab_monitor.folding.engine import Engine
from trimtab_monitor.folding.run_state import unpack
from trimtab_monitor.json_out import to_plain
from trimtab_monitor.pricing import EnergySettings, priced
from trimtab_monitor.settings import Settings
from trimtab_monitor.store.memory import MemoryStore
from trimtab_monitor.store.protocols import Commit, Store
from trimtab_monitor.testing.story import Story, batches_of

RUN = "run"
RECEIVED = 1_700_000_500.0


class NobodyListens:
    """A listener of the fold that has nothing to do."""

    def folded(self, run: str, batches: Sequence[BatchReceived]) -> None:
        """See Listener."""

    def committed(self, commit: Commit) -> None:
        """See Listener."""


def register(store: Store) -> None:
    """Make the run known."""
    store.log.append(draft_of(Registered(RECEIVED, RUN, Registration(project="gpt")))).result()


def append(store: Store, batches: Iterable[wire.Batch]) -> None:
    """Put batches into the log, all received at the same moment."""
    for batch in batches:
        store.log.append(draft_of(BatchReceived(RECEIVED, RUN, batch))).result()


def fold_in_one(batches: Iterable[wire.Batch], settings: Settings) -> MemoryStore:
    """A store that holds what comes of these batches."""
    store = MemoryStore()
    register(store)
    append(store, batches)
    engine = Engine(store, settings, listener=NobodyListens(), on_crash=_crashed)
    engine.start()
    engine.stop()
    return store


def outcome(store: Store) -> dict[str, Any]:
    """Everything that came of the run, as JSON; equal for equal runs, whenever and however they were sent.

    Without when alerts began and ended, and devices were last compared: the collector's clock says that.
    """
    packed = store.state.load(RUN)
    assert packed is not None, "the run was never folded"
    state = unpack(packed)
    plain: dict[str, Any] = to_plain(
        {
            "incidents": [incident.as_json() for incident in store.views.incidents(RUN)],
            "commands": store.views.commands(RUN),
            "alerts": [_timeless(alert.as_json()) for alert in store.views.alerts(1000)],
            "ledger": priced(state.ledger, EnergySettings()),
            "steps": [state.attempt, state.last_step, state.last_sample, state.latest],
            "tallies": state.tallies,
            "detectors": state.detectors,
            "incident book": state.incidents,
            "policy": state.rollback,
            "timeline": state.timeline,
        }
    )
    del plain["detectors"]["faulty_device"]["gauges"]["began"]
    return plain


def _timeless(alert: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in alert.items() if name not in ("starts_at", "ends_at")}


def rolled_back(before: Story, after: Story, settings: Settings) -> tuple[Story, Story]:
    """Two attempts of a run: `before`, then rolled back as the collector asks and on as in `after`."""
    batches = batches_of(before, itertools.repeat(10_000))
    command = fold_in_one(batches, settings).views.commands(RUN)[0]
    assert command.to_step is not None, "the first command is no rollback"
    last = before.first_step + before.steps - 1
    applied = {
        "kind": wire.COMMAND_APPLIED,
        "command": command.id,
        "outcome": "applied",
        "step": command.to_step,
        "from_step": last,
        "to_step": command.to_step,
        "new_attempt": 1,
        "time": before.time_of(last + 1),
    }
    return before, after.continuing(command.to_step, before.time_of(last + 1), applied)


def _crashed(name: str, error: BaseException) -> None:
    raise AssertionError(name) from error
