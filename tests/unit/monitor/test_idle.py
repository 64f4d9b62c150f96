"""When an embedded collector has nothing left to do."""

from __future__ import annotations

import pytest

from trimtab_alerts.testing import sample_delivery
from trimtab_monitor.entries import Registered, Registration, draft_of
from trimtab_monitor.folding.engine import Engine
from trimtab_monitor.idle import IdleWatch
from trimtab_monitor.settings import Settings
from trimtab_monitor.store.memory import MemoryStore
from trimtab_monitor.store.protocols import Commit
from trimtab_monitor.testing.reference import NobodyListens


class Scene:
    """A collector's parts, and a clock that is set by hand."""

    def __init__(self) -> None:
        self.now = 0.0
        self.stopped = False
        self.store = MemoryStore()
        self.engine = Engine(self.store, Settings(), listener=NobodyListens(), on_crash=lambda *_: None)
        self.watch = IdleWatch(self.engine, self.store, 900.0, self._stop, lambda: self.now)

    def _stop(self) -> None:
        self.stopped = True

    def look(self, at: float) -> bool:
        self.now = at
        self.watch.look()
        return self.stopped


@pytest.fixture
def scene() -> Scene:
    return Scene()


def test_it_ends_after_a_while_with_nothing_to_do(scene: Scene) -> None:
    assert not scene.look(at=899.0)
    assert scene.look(at=900.0)


def test_not_while_a_run_is_live(scene: Scene) -> None:
    scene.engine.live = 1
    assert not scene.look(at=5000.0)
    scene.engine.live = 0
    assert not scene.look(at=5899.0)
    assert scene.look(at=5900.0)


def test_not_while_something_is_to_be_folded(scene: Scene) -> None:
    scene.store.log.append(draft_of(Registered(1.0, "run", Registration(project="gpt")))).result()
    assert not scene.look(at=5000.0)


def test_not_while_something_is_to_be_told(scene: Scene) -> None:
    scene.store.state.commit(Commit(0, 0, deliveries=[sample_delivery()])).result()
    assert not scene.look(at=5000.0)
