"""The ranks act at the same step, or none of them does."""

from __future__ import annotations

import random
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

import pytest

from trimtab.identity import Place
from trimtab.rewind.accord import Accord, Ballot, Patience, agree
from trimtab.rewind.orders import Order
from trimtab.vocabulary import Command

ROLLBACK = Command(id="c1", kind="rollback", to_step=29)
SHORT = Patience(votes=0.3, promises=0.3, outcomes=20.0, poll=0.001)
LONG = Patience(votes=20.0, promises=20.0, outcomes=20.0, poll=0.001)


class SharedStore:
    """The store of a process group, for threads of one process; `broken` keys raise."""

    def __init__(self, broken: str = "?") -> None:
        self._values: dict[str, str] = {}
        self._lock = threading.Lock()
        self._broken = broken

    def set(self, key: str, value: str) -> None:
        if self._broken in key:
            raise RuntimeError("connection reset")
        with self._lock:
            self._values[key] = value

    def get(self, key: str) -> bytes:
        with self._lock:
            return self._values[key].encode()

    def check(self, keys: list[str]) -> bool:
        with self._lock:
            return all(key in self._values for key in keys)

    def compare_set(self, key: str, expected: str, desired: str) -> bytes:
        with self._lock:
            return self._values.setdefault(key, desired).encode()


@dataclass
class Training:
    """One rank that goes from step to step, never more than one ahead of another, as gradients make it."""

    barrier: threading.Barrier
    vote: Ballot
    number: int = 100
    lock: threading.RLock = field(default_factory=threading.RLock)
    waiting: list[Order] = field(default_factory=list)
    acted: list[tuple[int, int | None, str | None, str | None]] = field(default_factory=list)

    def ballot(self, command: Command) -> Ballot:
        return self.vote

    def hold(self, order: Order) -> int:
        with self.lock:
            order.hold_at = self.number + 1
            self.waiting.append(order)
            return order.hold_at

    def run(self, done: Callable[[], bool]) -> None:
        chooser = random.Random(id(self))
        while not done():
            self.barrier.wait(20)
            time.sleep(chooser.uniform(0, 0.002))
            with self.lock:
                self.number += 1
                while self.waiting and self.waiting[0].is_due(self.number):
                    self._act(self.waiting.pop(0))

    def _act(self, order: Order) -> None:
        problem = order.confirm(order.refusal is None)
        self.acted.append((self.number, order.command.to_step, order.refusal, problem))


def train(
    votes: Sequence[Ballot],
    stores: Sequence[SharedStore],
    patience: Patience,
    absent: frozenset[int] = frozenset(),
) -> list[Training]:
    """Run all ranks until those that negotiate have acted or refused."""
    over = threading.Event()
    barrier = threading.Barrier(len(votes), action=lambda: over.set() if finished() else None)
    crews = [Training(barrier, vote) for vote in votes]

    def finished() -> bool:
        return all(crew.acted for rank, crew in enumerate(crews) if rank not in absent)

    threads = [threading.Thread(target=crew.run, args=(over.is_set,)) for crew in crews]
    for thread in threads:
        thread.start()
    for rank, (crew, store) in enumerate(zip(crews, stores, strict=True)):
        if rank not in absent:
            time.sleep(random.Random(rank).uniform(0, 0.02))
            Accord(store, "run", Place(rank, len(votes)), crew, patience).begin(ROLLBACK)
    for thread in threads:
        thread.join(60)
        assert not thread.is_alive()
    return crews


@pytest.mark.parametrize("ranks", [2, 5])
def test_all_ranks_act_at_the_same_step_and_go_back_to_the_same(ranks: int) -> None:
    store = SharedStore()
    votes = [Ballot(None, [10, 20, 30]), *[Ballot(None, [10, 20])] * (ranks - 1)]
    crews = train(votes, [store] * ranks, LONG)
    assert len({crew.acted[0][0] for crew in crews}) == 1
    assert {crew.acted[0][1:] for crew in crews} == {(20, None, None)}


def test_one_rank_that_may_not_makes_all_refuse() -> None:
    votes = [Ballot(None, [10]), Ballot("it is over", [10])]
    crews = train(votes, [SharedStore()] * 2, LONG)
    assert {crew.acted[0][2] for crew in crews} == {"rank 1: it is over"}


def test_a_rank_that_does_not_watch_makes_all_refuse_and_stop_nothing() -> None:
    crews = train([Ballot(None, [10])] * 2, [SharedStore()] * 2, SHORT, absent=frozenset({1}))
    ((_, _, refusal, problem),) = crews[0].acted
    assert refusal is not None
    assert "each of them" in refusal
    assert problem is None


def test_a_store_that_fails_before_a_promise_is_a_refusal() -> None:
    crews = train([Ballot(None, [10])], [SharedStore(broken="vote")], SHORT)
    assert "connection reset" in (crews[0].acted[0][2] or "")
    assert crews[0].acted[0][3] is None


def test_a_rank_that_loses_the_store_after_its_promise_stops() -> None:
    crews = train([Ballot(None, [10])], [SharedStore(broken="promise")], SHORT)
    _, _, refusal, problem = crews[0].acted[0]
    assert refusal is not None
    assert problem is not None


def test_half_of_a_rollback_stops_the_job() -> None:
    store = SharedStore()
    answers: list[str | None] = []

    def tell(rank: int, done: bool) -> None:
        crew = Training(threading.Barrier(1), Ballot(None, [10]))
        Accord(store, "run", Place(rank, 2), crew, LONG).begin(ROLLBACK)
        while not crew.waiting or not crew.waiting[0].is_due(101):
            time.sleep(0.001)
        answers.append(crew.waiting[0].confirm(done))

    threads = [threading.Thread(target=tell, args=(rank, rank == 0)) for rank in range(2)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(20)
    assert answers == ["ranks [1] could not carry it out, and the others have"] * 2


def test_without_a_snapshot_that_all_hold_nothing_is_done() -> None:
    refused = agree(ROLLBACK, [Ballot(None, [10, 30]), Ballot(None, [20, 30])])
    assert isinstance(refused, str)
    assert "held by all" in refused
    assert agree(Command(id="c", kind="stop"), [Ballot(None, []), Ballot(None, [3])]) == Command(
        id="c", kind="stop"
    )
