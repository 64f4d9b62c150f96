"""What the door knew of devices and their holders, found again after a restart of the collector."""

from __future__ import annotations

import logging
from typing import Final

import msgspec

from trimtab_monitor.entries import BatchReceived, DevicesHeld
from trimtab_monitor.folding.fleet import Fleet, read_entry
from trimtab_monitor.intake.holders import KEPT_US, Holder, Holders
from trimtab_monitor.ledger.stretches import Stretch
from trimtab_monitor.ledger.units import MICRO
from trimtab_monitor.liveness import LIVE
from trimtab_monitor.settings import Settings
from trimtab_monitor.store.protocols import Store

log = logging.getLogger(__name__)

_CHUNK: Final = 512


class _Division(msgspec.Struct):
    own: list[Stretch]
    others: dict[str, list[Stretch]]


class _Ledger(msgspec.Struct):
    divisions: dict[str, _Division]


class _State(msgspec.Struct):
    """What is wanted of a run's state: the rest of it is passed over, which is quick."""

    ledger: _Ledger


_DECODER: Final = msgspec.msgpack.Decoder(_State)


def recall_holders(store: Store, settings: Settings, now: float) -> tuple[Holders, list[DevicesHeld]]:
    """The holders as of the end of the log, and what runs were not told of them yet.

    Of what is folded the runs' states tell, of the rest the log itself.
    """
    holders = Holders()
    fleet = Fleet(store.log, store.state, settings)
    for summary in store.views.summaries(heard_since=now - KEPT_US / MICRO):
        _recall_run(holders, store, fleet, summary.run, summary.status in LIVE, now)
    holders.settle()
    after = store.state.position()
    while records := store.log.read(after, _CHUNK):
        after = records[-1].position
        for entry in map(read_entry, records):
            if isinstance(entry, BatchReceived):
                holders.take(entry.run, entry.batch, entry.time)
            elif isinstance(entry, DevicesHeld):
                holders.heard(entry)
    return holders, holders.tell_all(now)


def _recall_run(holders: Holders, store: Store, fleet: Fleet, run: str, is_live: bool, now: float) -> None:
    packed = store.state.load(run)
    if packed is None:
        return
    try:
        state = _DECODER.decode(packed)
    except msgspec.DecodeError:
        folded = fleet.get(run)  # of another version: it is folded anew
        assert folded is not None, "a run with a state has registered"
        state = msgspec.convert(folded, type=_State, from_attributes=True)
    for device, division in state.ledger.divisions.items():
        if division.own:
            told = {by: list(held) for by, held in division.others.items()}
            holders.recall(run, device, Holder(division.own, is_live, now, told=told))
