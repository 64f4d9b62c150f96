"""What a dead process's ring still holds beyond its spool, packed as the batches that follow.

A pure function of the folder: two that read it, or one that was killed and starts again, get the same batches
with the same identities, so that the collector counts each once.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from trimtab import wire
from trimtab.identity import RunIdentity
from trimtab.outbound.packer import Event, Part, parts
from trimtab.outbound.process_dir import RING
from trimtab.outbound.ring import NOT_KEPT, RING_FULL, Ring, RingError, RingReader, Slot
from trimtab.outbound.spool import FileSpool, SpoolRecord

LOG = logging.getLogger("trimtab")

PROCESS_DIED: Final = "process_died"

Names = Mapping[int, tuple[str, ...]]


def unspooled(path: Path, identity: RunIdentity, names: Names, spool: FileSpool) -> list[SpoolRecord]:
    """Pack what the ring of the folder `path` holds and its spool does not.

    The last batch tells that the process died, unless it had said that it ended. To be called before anything
    is taken from the spool: it notes in the ring how far the spool goes, for whoever has to start again.
    """
    try:
        ring = Ring.open(path / RING)
    except (OSError, RingError) as error:
        LOG.warning("trimtab: %s: the ring cannot be read, its last rows are lost: %s", identity.run, error)
        return []
    try:
        _note_spooled(ring, spool)
        return list(_Remains(path, identity, ring).records(names))
    finally:
        ring.close()


def _note_spooled(ring: Ring, spool: FileSpool) -> None:
    """Note what the process had no time to: it may have been killed just after it spooled a batch."""
    for record in spool.records():
        if (record.attempt, record.seq) >= (ring[Slot.ATTEMPT], ring[Slot.NEXT_SEQ]):
            ring[Slot.ATTEMPT], ring[Slot.NEXT_SEQ] = record.attempt, record.seq + 1
        ring[Slot.TAIL] = max(ring[Slot.TAIL], record.ring_end)


class _Remains:
    """Goes on where the dead process left off."""

    def __init__(self, path: Path, identity: RunIdentity, ring: Ring) -> None:
        self._identity = identity
        self._ring = ring
        self._attempt = ring[Slot.ATTEMPT]
        self._seq = ring[Slot.NEXT_SEQ]
        self._ended = bool(ring[Slot.ENDED])
        self._step: int | None = None
        self._last_sign = _last_written(path)

    def records(self, names: Names) -> Iterator[SpoolRecord]:
        start = end = self._ring[Slot.TAIL]
        for part in parts(RingReader(self._ring).stretches(start), names, self._identity.attempt):
            self._look_at(part)
            end = part.end
            yield self._record(part)
        last: list[Event] = [*self._lost(), *([] if self._ended else [self._death()])]
        if last:
            yield self._record(Part(self._attempt, end, events=last))

    def _record(self, part: Part) -> SpoolRecord:
        if part.attempt != self._attempt:
            self._attempt, self._seq = part.attempt, 0
        batch = part.batch(self._identity.rank, self._seq)
        self._seq += 1
        return SpoolRecord(batch.attempt, batch.seq, batch.rows, part.end, wire.encode(batch))

    def _look_at(self, part: Part) -> None:
        self._ended = self._ended or any(event["kind"] == wire.RUN_END for event in part.events)
        self._step = part.step[-1] if part.step else self._step
        times = [*part.time[-1:], *(float(event["time"]) for event in part.events)]
        self._last_sign = max([self._last_sign, *times])

    def _lost(self) -> Iterator[dict[str, Any]]:
        """Say what the process could no longer tell of its losses."""
        full = self._ring[Slot.DROPPED] - self._ring[Slot.DROPPED_TOLD]
        for count, reason in ((full, RING_FULL), (self._ring[Slot.NOT_KEPT], NOT_KEPT)):
            if count:
                yield {"kind": wire.SAMPLES_DROPPED, "count": count, "reason": reason, **self._stamp()}

    def _death(self) -> dict[str, Any]:
        """Say that the process died, as of its last sign of life: the same whenever it is found."""
        pid, host = self._identity.pid, self._identity.host
        return {"kind": PROCESS_DIED, "pid": pid, "host": host, **self._stamp()}

    def _stamp(self) -> dict[str, Any]:
        return {"step": self._step, "time": self._last_sign}


def _last_written(path: Path) -> float:
    """Return when the process last wrote to its folder, Unix seconds; it does so every few seconds."""
    files = [*path.glob("spool-*.seg")] or [path]
    return max(file.stat().st_mtime for file in files)
