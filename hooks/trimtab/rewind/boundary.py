"""What happens between two steps of a job that may be rolled back: snapshots are taken, commands obeyed."""

from __future__ import annotations

import logging
from collections.abc import Callable

from trimtab import wire
from trimtab.guard import Guard
from trimtab.journal import Journal
from trimtab.rewind.commands import STOP, CommandDesk
from trimtab.rewind.orders import Order
from trimtab.rewind.snapshots import SnapshotError, Snapshots

LOG = logging.getLogger("trimtab")


class Boundary:
    """Acts on the training state between two steps, and writes down what it did.

    `attentive` says that `act` has to be called after every step, not only when a command waits. `stop` is
    set once a command has asked the job to end.
    """

    def __init__(self, desk: CommandDesk, snapshots: Snapshots, takes_snapshots: bool, guard: Guard) -> None:
        self.desk = desk
        self.attentive = takes_snapshots
        self.stop = False
        self._snapshots = snapshots
        self._guard = guard

    def act(self, journal: Journal) -> bool:
        """Do what is due after the step; True: the job is back at an earlier one."""
        if self.attentive and not self.desk.waiting:
            self._take_snapshot(journal)
        rolled_back = False
        while self.desk.waiting and self.desk.waiting[0].is_due(journal.number):
            rolled_back |= self._obey(self.desk.waiting.popleft(), journal)
        return rolled_back

    def held(self) -> list[int]:
        """Return the steps that can be gone back to."""
        return self._snapshots.steps()

    def retire(self) -> None:
        """Do nothing any more."""
        self.attentive = False
        self.desk.waiting.clear()

    def _take_snapshot(self, journal: Journal) -> None:
        try:
            snapshot = self._snapshots.maybe_take(journal.number)
        except SnapshotError as error:
            self._guard.caught("snapshot", error)
            return
        if snapshot is not None:
            journal.tell(
                wire.CHECKPOINT_SAVED,
                checkpoint=snapshot.id,
                where="memory",
                finite=snapshot.finite,
                every=self._snapshots.every,
            )

    def _obey(self, order: Order, journal: Journal) -> bool:
        from_step = journal.number
        outcome = self.desk.act(order, from_step, journal.attempt)
        self.stop = self.stop or (outcome.applied and order.command.kind == STOP)
        rolled_back = outcome.applied and outcome.to_step is not None
        if rolled_back:
            journal.begin_attempt(outcome.to_step)
        journal.tell(
            wire.COMMAND_APPLIED,
            command=order.command.id,
            outcome="applied" if outcome.applied else "refused",
            from_step=from_step,
            to_step=outcome.to_step,
            new_attempt=journal.attempt,
            detail=outcome.detail,
        )
        LOG.warning("trimtab: step %d: %s: %s", from_step, order.command.kind, outcome.detail)
        self._confirm(order, outcome.applied)
        return rolled_back

    def _confirm(self, order: Order, applied: bool) -> None:
        """Stop the job if the ranks are not in the same state any more."""
        reason = order.confirm(applied)
        if reason is not None:
            self.stop = True
            LOG.error("trimtab: command %s: %s: the job must stop", order.command.id, reason)


IsFinite = Callable[[], bool]


class DiskCheckpoints:
    """Tells of the checkpoints that the job itself writes."""

    def __init__(self, is_finite: IsFinite | None) -> None:
        self._is_finite = is_finite
        self._count = 0
        self._last_step: int | None = None

    def tell(self, journal: Journal, path: str) -> None:
        """Tell of a checkpoint of the state after the last step; looks at every parameter it knows, once."""
        fields: dict[str, object] = {}
        if self._is_finite is not None:
            fields["finite"] = self._is_finite()
        if self._last_step is not None and journal.number > self._last_step:
            fields["every"] = journal.number - self._last_step
        self._last_step = journal.number
        self._count += 1
        name = f"disk-{journal.number}-{self._count}"
        journal.tell(wire.CHECKPOINT_SAVED, checkpoint=name, where="disk", path=path, **fields)
