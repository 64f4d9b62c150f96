"""Gives each batch its identity, once and for all: the step from the ring to the spool."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Final

from trimtab import wire
from trimtab.guard import Tally
from trimtab.outbound.giving_way import GiveWay, never
from trimtab.outbound.packer import Event, Part, parts
from trimtab.outbound.ring import Slot
from trimtab.outbound.rings import Rings
from trimtab.outbound.spool import Spool, SpoolRecord

SPOOL_FULL: Final = "the spool is full: the collector has been away for too long"
UNNAMED: Final = "the names of its metrics were never written down"


class Batches:
    """Reads parts from the ring; `put` spools one as the next batch, and only then gives its room back.

    A process killed between the two leaves a batch in the spool that says how far in the ring it goes, so
    its rows are not packed again. Where the spool is full, the newest rows are dropped and counted, and
    events are kept: what is on disk stays a history without holes, and its end says what is missing.
    """

    def __init__(
        self,
        rings: Rings,
        spool: Spool,
        rank: int,
        attempt: int,
        drops: Tally,
        give_way: GiveWay = never,
    ) -> None:
        self._rings = rings
        self._spool = spool
        self._rank = rank
        self._drops = drops
        self._give_way = give_way
        self._base_attempt = attempt
        self._attempt = attempt
        self._seq = 0
        self._leave_count()

    def relieve(self) -> None:
        """See to it that the ring is large enough: to be called before it is drained."""
        self._rings.relieve()

    def parts(self, names: Mapping[int, tuple[str, ...]]) -> Iterator[Part]:
        """Read what the ring holds; `names` are the metrics of each kind of row."""
        return parts(self._rings.stretches(), names, self._base_attempt, self._give_way)

    def extra(self) -> Part:
        """Return a part with nothing in it, for what does not come from the ring."""
        return Part(self._attempt, self._rings.tail)

    def put(self, part: Part, devices: Sequence[wire.Device] = (), events: Sequence[Event] = ()) -> None:
        """Spool a part as the next batch of its attempt, then move the ring's tail behind it.

        What `take_drops` returned last must be among `events`: it counts as told from here on.
        """
        if part.attempt != self._attempt:
            self._attempt, self._seq = part.attempt, 0
        if part.unnamed:
            self._drops.count(UNNAMED, by=part.unnamed)
        if self._spool.full:
            if part.step:
                self._drops.count(SPOOL_FULL, by=len(part.step))
            part, devices = Part(part.attempt, part.end, events=part.events), ()
        batch = part.batch(self._rank, self._seq, devices, events, self._give_way)
        body = wire.encode(batch, between=self._give_way)
        self._give_way()
        self._spool.append(SpoolRecord(self._attempt, self._seq, batch.rows, part.end, body))
        if events:
            self._rings.confirm_drops()  # at once: killed before it, the process would have told them twice
        self._give_way()
        self._seq += 1
        self._leave_count()
        if any(event.get("kind") == wire.RUN_END for event in batch.events):
            self._rings[Slot.ENDED] = 1
        self._rings.advance(part.end)

    def _leave_count(self) -> None:
        """Leave the count where whoever finds the ring of a dead process looks for it."""
        self._rings[Slot.ATTEMPT] = self._attempt
        self._rings[Slot.NEXT_SEQ] = self._seq
