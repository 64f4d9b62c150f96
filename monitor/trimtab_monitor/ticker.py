"""Puts the clock into the log, while some run is live: what depends on time is folded like all else."""

from __future__ import annotations

from typing import Final

from trimtab_monitor.entries import Tick, draft_of
from trimtab_monitor.folding.engine import Engine
from trimtab_monitor.intake.intake import Intake
from trimtab_monitor.store.protocols import Log

FORGET_EVERY: Final = 120
"""Ticks between two times that old ones are forgotten."""


class Ticker:
    """Appends ticks, and forgets those that are folded and older than `keep_s` seconds."""

    def __init__(self, intake: Intake, log: Log, engine: Engine, keep_s: float) -> None:
        self._intake = intake
        self._log = log
        self._engine = engine
        self._keep_s = keep_s
        self._ticks = 0

    def tick(self) -> None:
        """Append one, if anybody needs it."""
        self._intake.lapse()
        if not self._engine.live:
            return
        now = self._intake.now()
        self._intake.append(draft_of(Tick(now))).result()
        self._ticks += 1
        if self._ticks % FORGET_EVERY == 0:
            self._log.forget_ticks(self._engine.committed.position, now - self._keep_s).result()
