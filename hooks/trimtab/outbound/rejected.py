"""Batches that the collector will never accept: put aside, where a person can look at them."""

from __future__ import annotations

import logging
from pathlib import Path
from typing import Final

from trimtab.guard import Tally
from trimtab.identity import RunIdentity
from trimtab.outbound.process_dir import REJECTED
from trimtab.outbound.spool import SpoolRecord

LOG = logging.getLogger("trimtab")

MOST: Final = 64
REFUSED: Final = "refused by the collector"


class Rejected:
    """Puts refused batches in `<spool root>/rejected/`, the reason beside each, and counts their rows."""

    def __init__(self, root: Path, drops: Tally) -> None:
        self._folder = root / REJECTED
        self._drops = drops
        self._told: set[str] = set()

    def add(self, identity: RunIdentity, record: SpoolRecord, reason: str) -> None:
        """Put one batch aside; a disk that cannot take it changes nothing for the job."""
        self._drops.count(REFUSED, reason, by=max(record.rows, 1))
        kept = self._keep(f"{identity.run}.r{identity.rank}.{record.attempt}.{record.seq}", record, reason)
        if reason not in self._told:
            self._told.add(reason)
            where = f"kept in {self._folder}" if kept else "not kept"
            LOG.error(
                "trimtab: the collector refuses a batch of %d rows: %s (%s; counted)",
                record.rows,
                reason,
                where,
            )

    def _keep(self, name: str, record: SpoolRecord, reason: str) -> bool:
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            if sum(1 for _ in self._folder.glob("*.msgpack")) >= MOST:
                return False
            (self._folder / f"{name}.msgpack").write_bytes(record.body)
            (self._folder / f"{name}.reason.txt").write_text(reason + "\n")
        except OSError:
            return False
        return True
