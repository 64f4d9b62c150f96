"""A store whose collector can be killed: it loses what it had folded and not committed."""

from __future__ import annotations

from concurrent.futures import Future

from trimtab_monitor.store.memory import MemoryState, MemoryStore
from trimtab_monitor.store.protocols import Commit, StoreUnavailable


class DyingState(MemoryState):
    """The state of a store whose collector dies: while it is dead nothing is committed."""

    dead = False

    def commit(self, commit: Commit) -> Future[None]:
        """See State."""
        if not self.dead:
            return super().commit(commit)
        future: Future[None] = Future()
        future.set_exception(StoreUnavailable("killed"))
        return future


class DyingStore(MemoryStore):
    """A MemoryStore with such a state."""

    def __init__(self) -> None:
        super().__init__()
        self.state: DyingState = DyingState(self.tables, self.outbox)
