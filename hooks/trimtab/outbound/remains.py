"""What a dead process's ring still holds beyond its spool, packed as the batches that follow.

A pure function of the folder: two that read it, or one that was killed and starts again, get the same batches
with the same identities, so that the collector counts each once.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Final

from trimtab import wire
from trimtab.identity import RunIdentity
from trimtab.outbound.found_rings import FoundRings
from trimtab.outbound.giving_way import GiveWay, never
from trimtab.outbound.packer import Event, Part, parts
from trimtab.outbound.ring import NOT_KEPT, RING_FULL
from trimtab.outbound.spool import FileSpool, SpoolRecord

PROCESS_DIED: Final = "process_died"

Names = Mapping[int, tuple[str, ...]]


def unspooled(
    path: Path, identity: RunIdentity, names: Names, spool: FileSpool, give_way: GiveWay = never
) -> list[SpoolRecord]:
    """Pack what the rings of the folder `path` hold and its spool does not.

    The last batch tells that the process died, unless it had said that it ended. To be called before anything
    is taken from the spool: it notes in the rings how far the spool goes, for whoever has to start again.

    Raises:
        RingVersionError: a ring is for another version of Trimtab to read.
        OSError: a ring may not be read.
    """
    rings = FoundRings(path)
    try:
        _note_spooled(rings, spool)
        return list(_Remains(path, identity, rings, bool(names)).records(names, give_way))
    finally:
        rings.close()


def _note_spooled(rings: FoundRings, spool: FileSpool) -> None:
    """Note what the process had no time to: it may have been killed just after it spooled a batch."""
    last: SpoolRecord | None = None
    for last in spool.records():
        rings.note(last.attempt, last.seq, last.ring_end)
    rings.ended = rings.ended or (last is not None and _tells_end(last))


def _tells_end(record: SpoolRecord) -> bool:
    try:
        events = wire.decode(record.body).events
    except wire.WireError:
        return False  # its collector will say what is wrong with it
    return any(event.get("kind") == wire.RUN_END for event in events)


class _Remains:
    """Goes on where the dead process left off; `recorded` says whether it can have recorded anything."""

    def __init__(self, path: Path, identity: RunIdentity, rings: FoundRings, recorded: bool) -> None:
        self._identity = identity
        self._rings = rings
        self._recorded = recorded
        self._attempt, self._seq = max((rings.attempt, rings.seq), (identity.attempt, 0))
        self._ended = rings.ended
        self._step: int | None = None
        self._last_sign = _last_written(path)

    def records(self, names: Names, give_way: GiveWay) -> Iterator[SpoolRecord]:
        end = self._rings.tail
        for part in parts(self._rings.stretches(), names, self._identity.attempt, give_way):
            self._look_at(part)
            end = part.end
            yield self._record(part, give_way)
        last: list[Event] = [*self._lost(), *([] if self._ended else [self._death()])]
        if last:
            yield self._record(Part(self._attempt, end, events=last), give_way)

    def _record(self, part: Part, give_way: GiveWay) -> SpoolRecord:
        if part.attempt != self._attempt:
            self._attempt, self._seq = part.attempt, 0
        batch = part.batch(self._identity.rank, self._seq, give_way=give_way)
        self._seq += 1
        return SpoolRecord(
            batch.attempt, batch.seq, batch.rows, part.end, wire.encode(batch, between=give_way)
        )

    def _look_at(self, part: Part) -> None:
        self._ended = self._ended or any(event["kind"] == wire.RUN_END for event in part.events)
        self._step = part.step[-1] if part.step else self._step
        times = [*part.time[-1:], *(float(event["time"]) for event in part.events)]
        self._last_sign = max([self._last_sign, *times])

    def _lost(self) -> Iterator[dict[str, Any]]:
        """Say what the process could no longer tell of its losses."""
        for count, reason in ((self._rings.dropped, RING_FULL), (self._rings.not_kept, NOT_KEPT)):
            if count:
                yield {"kind": wire.SAMPLES_DROPPED, "count": count, "reason": reason, **self._stamp()}
        for problem in self._rings.problems if self._recorded else ():
            error = {"where": "ring: its last rows are lost", "error": problem, "count": 1}
            yield {"kind": wire.HOOK_ERROR, **error, **self._stamp()}

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
