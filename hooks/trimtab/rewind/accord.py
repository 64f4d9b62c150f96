"""How the ranks of a job act on a command at the very same step, without a collective on any other.

Each rank gets the command from the collector by itself, and talks to the others through the key-value store
of their process group, from a thread beside the training:

    1. votes      every rank says whether it may obey, and which snapshots it holds
    2. promises   all may: every rank promises not to go past its next step before it knows when to act
    3. decision   the latest step that any rank has promised; all reach that one, and act there
    4. outcomes   every rank says whether it could; if one could not, all stop: half of a rollback is none

A rank that is not there, or does not watch, makes the votes incomplete: then all refuse, and none has
waited. The decision is written by whoever is first and read by all, so that a rank that gives up and one
that does not still do the same.
"""

from __future__ import annotations

import contextlib
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final, Protocol

import msgspec

from trimtab.identity import Place
from trimtab.rewind.group_store import GroupStore
from trimtab.rewind.orders import Order
from trimtab.rewind.rewind import choose
from trimtab.vocabulary import Command

_ABORT: Final = "abort"
_DONE: Final = "done"
_STOP_SECONDS: Final = 1.0
_STORE_ERRORS: Final = (RuntimeError, ValueError, AttributeError)
"""What a store that is gone, too old or out of step raises; a body that cannot be decoded is a ValueError."""


class Ballot(msgspec.Struct, frozen=True):
    """One rank's vote: why it refuses (None: it does not), and the steps that it can go back to."""

    refusal: str | None
    held: list[int]


class Crew(Protocol):
    """What is asked of the training on this rank."""

    def ballot(self, command: Command) -> Ballot:
        """Vote on a command."""

    def hold(self, order: Order) -> int:
        """Put the order in the training's way; return the step that it waits at until that is settled."""


@dataclass(frozen=True, slots=True)
class Patience:
    """How long to wait for the other ranks, in seconds. Votes wait for the slowest one's next heartbeat."""

    votes: float = 30.0
    promises: float = 20.0
    outcomes: float = 120.0
    poll: float = 0.01


class Accord:
    """Negotiates commands for one rank; every rank has one."""

    def __init__(
        self, store: GroupStore, run: str, place: Place, crew: Crew, patience: Patience | None = None
    ) -> None:
        self._store = store
        self._prefix = f"trimtab/{run}"
        self._place = place
        self._crew = crew
        self._patience = patience or Patience()
        self._stopped = threading.Event()
        self._threads: list[threading.Thread] = []

    def begin(self, command: Command) -> None:
        """Negotiate in a thread of its own."""
        work = threading.Thread(target=self._negotiate, args=(command,), name="trimtab-accord", daemon=True)
        self._threads = [*(thread for thread in self._threads if thread.is_alive()), work]
        work.start()

    def stop(self) -> None:
        """End what is being negotiated: the interpreter must not end with a thread in the store's code."""
        self._stopped.set()
        for thread in self._threads:
            thread.join(_STOP_SECONDS)

    def _negotiate(self, command: Command) -> None:
        prefix = f"{self._prefix}/{command.id}"
        talk = _Talk(self._store, prefix, self._place, self._patience, self._stopped)
        order = Order(command)
        try:
            agreed = self._vote(talk, command)
            if isinstance(agreed, Command):
                self._promise(talk, order, agreed)
                return
            refusal = agreed
        except _STORE_ERRORS as error:
            refusal = f"the ranks cannot be asked: {error}"
        self._crew.hold(order.settle(refusal=refusal))

    def _promise(self, talk: _Talk, order: Order, agreed: Command) -> None:
        """Promise, and settle the order with the common decision."""
        promise = self._crew.hold(order)
        try:
            act_at = talk.decide(promise)
        except _STORE_ERRORS as error:
            order.confirm = talk.give_up
            order.settle(refusal=f"the ranks cannot agree: {error}")
            return
        if act_at is None:
            order.settle(refusal="a rank did not promise in time: none acts")
        else:
            order.confirm = talk.confirm
            order.settle(act_at, command=agreed)

    def _vote(self, talk: _Talk, command: Command) -> Command | str:
        """Return the command that all ranks can obey, or why not all can; the same on every rank."""
        own = msgspec.json.encode(self._crew.ballot(command)).decode()
        raw = talk.exchange("vote", own, talk.patience.votes)
        if raw is None:
            return f"not all {self._place.world_size} ranks answered: call trimtab.watch() on each of them"
        ballots = [msgspec.json.decode(text, type=Ballot) for text in raw]
        return agree(command, ballots)


def agree(command: Command, ballots: Sequence[Ballot]) -> Command | str:
    """Return the command with a target that every rank holds, or why it is refused.

    >>> ballots = [Ballot(None, [10, 20, 30]), Ballot(None, [10, 20])]
    >>> agree(Command(id="c", kind="rollback", to_step=29), ballots).to_step
    20
    """
    for rank, ballot in enumerate(ballots):
        if ballot.refusal is not None:
            return f"rank {rank}: {ballot.refusal}"
    if command.kind != "rollback":
        return command
    common = set.intersection(*(set(ballot.held) for ballot in ballots))
    target = choose(list(common), command.to_step)
    if target is None:
        return f"step {command.to_step}: no snapshot of it or before it is held by all ranks"
    return msgspec.structs.replace(command, to_step=target)


class _Talk:
    """The exchange of one command between the ranks."""

    def __init__(
        self, store: GroupStore, prefix: str, place: Place, patience: Patience, stopped: threading.Event
    ) -> None:
        self._store = store
        self._stopped = stopped
        self._prefix = prefix
        self._place = place
        self.patience = patience

    def exchange(self, what: str, own: str, seconds: float) -> list[bytes] | None:
        """Say something to all ranks and return what each of them says; None: not all did in time."""
        keys = [self._key(what, rank) for rank in range(self._place.world_size)]
        self._store.set(keys[self._place.rank], own)
        deadline = time.monotonic() + seconds
        while not self._store.check(keys):
            if time.monotonic() > deadline or self._stopped.wait(self.patience.poll):
                return None
        return [self._store.get(key) for key in keys]

    def decide(self, promise: int) -> int | None:
        """Return the step at which all act; None: none acts."""
        promises = self.exchange("promise", str(promise), self.patience.promises)
        own = _ABORT if promises is None else str(max(int(text) for text in promises))
        decision = bytes(self._store.compare_set(f"{self._prefix}/decision", "", own)).decode()
        return None if decision == _ABORT else int(decision)

    def give_up(self, done: bool) -> str:
        """Tell the others that this rank does not know what they do, and waits for none of them."""
        del done
        with contextlib.suppress(RuntimeError):
            self._store.set(self._key("outcome", self._place.rank), "failed")
        return "this rank does not know what the others did"

    def confirm(self, done: bool) -> str | None:
        """Tell the others whether it was carried out here; say why the job cannot go on, if it cannot."""
        try:
            outcomes = self.exchange("outcome", _DONE if done else "failed", self.patience.outcomes)
        except RuntimeError as error:
            return f"the other ranks cannot be asked: {error}"
        if outcomes is None:
            return "another rank did not say whether it carried it out"
        failed = [rank for rank, outcome in enumerate(outcomes) if outcome.decode() != _DONE]
        if failed and len(failed) < len(outcomes):
            return f"ranks {failed} could not carry it out, and the others have"
        return None

    def _key(self, what: str, rank: int) -> str:
        return f"{self._prefix}/{what}/{rank}"
