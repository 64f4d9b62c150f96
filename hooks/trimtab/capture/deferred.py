"""Reads values that are still being computed on an accelerator, without waiting for it.

A step's row may hold tensors whose values the device will know only later. They are copied to the host
beside the work that goes on, and the row comes out once its copies have arrived, a step or more later. Rows
come out in the order in which they went in, so a row of plain numbers waits behind one that is under way.
"""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from trimtab.capture.copies import Copier, Transfer, copier_for
from trimtab.capture.taking import RowValues, Taker
from trimtab.guard import Tally

if TYPE_CHECKING:
    import torch

CAPACITY: Final = 1024
"""Rows under way at most. A host can be ahead of its device by about as many kernels, so by no more steps."""
LATE: Final = "values did not arrive from the device in time"
WAKE_AT: Final = CAPACITY // 4
"""Rows under way at which whoever fetches is called, though its time has not come."""
_POLL_S: Final = 0.001


@dataclass(slots=True, eq=False)
class _Pending:
    """A row under way; the first `begun` of its copies have begun."""

    row: RowValues
    transfers: list[Transfer]
    begun: int = 0


@dataclass(frozen=True, slots=True, eq=False)
class _Stages:
    """Rows under way, from the newest to the oldest stage."""

    submitted: deque[_Pending] = field(default_factory=deque)
    begun: deque[_Pending] = field(default_factory=deque)
    arrived: deque[RowValues] = field(default_factory=deque)


class DeferredReader:
    """Turns rows with tensors into rows of floats, in order, without waiting.

    `submit`, `ready` and `finish` are for one thread at a time. `fetch` may run on another one beside them:
    it is what talks to devices, so that `submit` need not. At most `capacity` rows are under way; a row
    beyond that is dropped and counted: the older ones arrive first, and waiting for them would stall the job.
    `wake` calls whoever fetches.
    """

    def __init__(
        self,
        drops: Tally,
        copier_for: Callable[[torch.device], Copier] = copier_for,
        capacity: int = CAPACITY,
        wake: Callable[[], None] = lambda: None,
    ) -> None:
        self._drops = drops
        self._taker = Taker(drops, copier_for)
        self._capacity = capacity
        self._wake = wake
        self._stages = _Stages()
        self._given_up: list[Transfer] = []
        self._under_way = 0
        self._fetching = threading.RLock()  # a signal handler may come to `finish` while it is held

    def __len__(self) -> int:
        return self._under_way

    @property
    def has_arrived(self) -> bool:
        """Whether there are rows to be had from `ready`."""
        return bool(self._stages.arrived)

    def submit(self, row: RowValues) -> None:
        """Take in a row; its `values` are turned into floats in place."""
        if self._under_way >= self._capacity:
            self._drops.count(LATE)
            return
        pending = _Pending(row, self._taker.take(row))
        self._under_way += 1
        self._stages.submitted.append(pending)
        if self._under_way == WAKE_AT:
            self._wake()

    def fetch(self) -> bool:
        """Begin copies and take in what has arrived; never waits. True: there was something to do."""
        if not self._fetching.acquire(blocking=False):
            return True
        try:
            self._given_up = [transfer for transfer in self._given_up if not transfer.drop()]
            stages = self._stages  # `finish` may put new ones in their place
            begun = self._begin(stages)
            return self._take_in(stages) or begun
        finally:
            self._fetching.release()

    def ready(self, most: int = CAPACITY) -> Iterator[RowValues]:
        """Yield rows that are complete, oldest first, and no more than `most`."""
        arrived = self._stages.arrived
        while arrived and most > 0:
            most -= 1
            self._under_way -= 1
            yield arrived.popleft()

    def finish(self, timeout_s: float) -> Iterator[RowValues]:
        """Yield what is still under way, within `timeout_s` seconds; what is late is dropped and counted."""
        deadline = time.monotonic() + timeout_s
        while self._under_way:
            self.fetch()
            yield from self.ready()
            if self._under_way and time.monotonic() >= deadline:
                self._give_up()
            elif self._under_way:
                time.sleep(_POLL_S)

    def _give_up(self) -> None:
        """Let go of all rows under way; memory that copies still write to is given back later."""
        self._drops.count(LATE, by=self._under_way)
        stages, self._stages, self._under_way = self._stages, _Stages(), 0
        for pending in [*stages.begun, *stages.submitted]:
            self._given_up += pending.transfers[: pending.begun]

    def _begin(self, stages: _Stages) -> bool:
        moved = False
        while stages.submitted:
            pending = stages.submitted[0]
            while pending.begun < len(pending.transfers):
                if not self._has_begun(pending):
                    return moved
            stages.begun.append(pending)
            stages.submitted.popleft()
            moved = True
        return moved

    def _has_begun(self, pending: _Pending) -> bool:
        """Begin the next copy of a row; one that fails is left out. False: not yet."""
        try:
            if not pending.transfers[pending.begun].begin():
                return False
            pending.begun += 1
        except Exception as error:  # noqa: BLE001  (whatever a device raises costs its own values)
            self._taker.tell(pending.transfers.pop(pending.begun).names, error)
        return True

    def _take_in(self, stages: _Stages) -> bool:
        moved = False
        while stages.begun and all(transfer.done() for transfer in stages.begun[0].transfers):
            pending = stages.begun[0]
            for transfer in pending.transfers:
                pending.row.values.update(self._values(transfer))
            stages.arrived.append(pending.row)
            stages.begun.popleft()
            moved = True
        return moved

    def _values(self, transfer: Transfer) -> Mapping[str, float]:
        try:
            return transfer.values()
        except Exception as error:  # noqa: BLE001  (as above: the rest of the row is written)
            self._taker.tell(transfer.names, error)
            return {}
