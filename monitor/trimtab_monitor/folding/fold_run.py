"""Folds several entries of one run, none of which can spoil the others."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from trimtab_monitor.entries import Entry
from trimtab_monitor.folding.effects import Effects
from trimtab_monitor.folding.fold import fold
from trimtab_monitor.folding.run_state import RunState, pack, unpack
from trimtab_monitor.settings import Settings

log = logging.getLogger(__name__)

Positioned = tuple[int, Entry]
Fold = Callable[[RunState, Entry, Settings], Effects]


@dataclass(slots=True)
class Folded:
    """The run after the entries, what they did, and the positions of those that had to be skipped."""

    state: RunState
    effects: Effects = field(default_factory=Effects)
    skipped: list[int] = field(default_factory=list)


def fold_run(
    state: RunState, entries: Sequence[Positioned], settings: Settings, fold_one: Fold = fold
) -> Folded:
    """Fold the entries in order.

    An entry on which the fold raises, which is a fault of ours, is skipped in whole: the run begins again
    from where it was and goes through the others. So one bad entry can neither stop the collector nor leave
    half of itself.
    """
    before = pack(state)
    skipped: list[int] = []
    while True:
        folded = Folded(state, skipped=skipped)
        failed = _fold_until_it_fails(folded, entries, settings, fold_one)
        if failed is None:
            state.tallies.fold_errors += len(skipped)
            folded.effects.told = folded.effects.told or bool(skipped)
            return folded
        skipped.append(failed)
        state = unpack(before)


def _fold_until_it_fails(
    folded: Folded, entries: Sequence[Positioned], settings: Settings, fold_one: Fold
) -> int | None:
    """Fold all entries that are not skipped; returns the position of one that cannot be folded."""
    for position, entry in entries:
        if position in folded.skipped:
            continue
        try:
            folded.effects.merge(fold_one(folded.state, entry, settings))
        except Exception:  # whatever it is, the other entries and the other runs go on
            log.exception(
                "fold: entry %d of run %s cannot be folded and is skipped", position, folded.state.run
            )
            return position
    return None
