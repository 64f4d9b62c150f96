"""Folds several entries of one run, none of which can spoil the others."""

from __future__ import annotations

import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import msgspec

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
    """The run after the entries, what they did, and the positions of those that had to be skipped.

    `packed` is the state encoded.
    """

    state: RunState
    effects: Effects = field(default_factory=Effects)
    skipped: list[int] = field(default_factory=list)
    packed: bytes = b""

    def keep(self) -> None:
        """Encode the state, and see that the effects can be encoded: what cannot be is found out here."""
        self.packed = pack(self.state)
        if self.effects:
            msgspec.msgpack.encode(self.effects)


def fold_run(
    state: RunState,
    entries: Sequence[Positioned],
    settings: Settings,
    fold_one: Fold = fold,
    before: bytes | None = None,
) -> Folded:
    """Fold the entries in order; `before` is the state encoded, where that is at hand.

    An entry on which the fold raises, or after which the state cannot be written, is skipped in whole: the
    run begins again from where it was and goes through the others. Both are faults of ours; so one bad entry
    can neither stop the collector nor leave half of itself.
    """
    before = pack(state) if before is None else before
    skipped: list[int] = []
    careful = False
    while True:
        folded = Folded(state, skipped=skipped)
        failed = _fold_until_it_fails(folded, entries, settings, fold_one, careful)
        if failed is None and _finish(folded):
            return folded
        if failed is None:
            careful = True  # one of the entries made something that cannot be written: find out which
        else:
            skipped.append(failed)
        state = unpack(before)


def _fold_until_it_fails(
    folded: Folded, entries: Sequence[Positioned], settings: Settings, fold_one: Fold, careful: bool
) -> int | None:
    """Fold all entries that are not skipped; returns the position of one that cannot be folded."""
    for position, entry in entries:
        if position in folded.skipped:
            continue
        try:
            folded.effects.merge(fold_one(folded.state, entry, settings))
            if careful:
                folded.keep()
        except Exception:  # whatever it is, the other entries and the other runs go on
            run = folded.state.run
            log.exception("fold: entry %d of run %s cannot be folded and is skipped", position, run)
            return position
    return None


def _finish(folded: Folded) -> bool:
    """Count what was skipped, and encode; False if that cannot be done."""
    folded.state.tallies.fold_errors += len(folded.skipped)
    folded.effects.told = folded.effects.told or bool(folded.skipped)
    try:
        folded.keep()
    except Exception:  # as above
        log.exception("fold: the state of run %s cannot be written", folded.state.run)
        return False
    return True
