"""When one rank fails, others fail of it: the first is named, whatever order they are heard in."""

from __future__ import annotations

import itertools
from array import array
from collections.abc import Mapping
from typing import Any

import pytest

from trimtab import wire
from trimtab_alerts.settings import AlertSettings, WebhookSettings
from trimtab_monitor.entries import BatchReceived, Registration, Tick
from trimtab_monitor.folding.effects import Effects
from trimtab_monitor.folding.fold import fold
from trimtab_monitor.folding.run_state import RunState, new_run, pack, summarise, unpack
from trimtab_monitor.settings import Settings

NOW = 1_700_000_000.0
SETTINGS = Settings(alerts=AlertSettings(webhooks=(WebhookSettings(name="hook", url="http://hook"),)))  # type: ignore[arg-type]

KILLED = {"kind": "process_died", "pid": 4711, "host": "node2", "time": NOW + 10.0}
LOST_PEER = {"kind": "run_end", "status": "failed", "reason": "RuntimeError: reset", "time": NOW + 10.3}
ASKED = {"kind": "run_end", "status": "failed", "reason": "SIGTERM", "time": NOW + 10.4}
KILLED_LATER = {"kind": "process_died", "pid": 4712, "host": "node2", "time": NOW + 38.0}


def tell(
    state: RunState, rank: int, event: Mapping[str, Any] | None = None, *, step: int = 0, now: float = 0.0
) -> Effects:
    """A batch of a rank: a row of `step`, if any, then the event; received `now` seconds after NOW."""
    batch = wire.Batch(
        rank=rank,
        seq=0,
        step=array("q", [step] if step else []),
        time=array("d", [NOW + step] if step else []),
        metrics={"loss": array("d", [2.0])} if step else {},
        events=[] if event is None else [{"step": step, **event}],
    )
    return fold(state, BatchReceived(NOW + now, "run", batch), SETTINGS)


def tick(state: RunState, now: float) -> Effects:
    return fold(state, Tick(NOW + now), SETTINGS)


def job(ranks: int) -> RunState:
    state = new_run("run", NOW, Registration(project="gpt", world_size=ranks), SETTINGS)
    for rank in range(ranks):
        tell(state, rank, {"kind": "run_start", "time": NOW})
        tell(state, rank, step=10, now=10.0)
    return state


@pytest.mark.parametrize("order", list(itertools.permutations([(1, KILLED), (0, LOST_PEER), (2, ASKED)])))
def test_the_rank_that_was_killed_is_named_in_whatever_order_it_is_heard(
    order: tuple[tuple[int, dict[str, Any]], ...],
) -> None:
    state = job(3)
    effects = [tell(state, rank, event, now=10.5) for rank, event in order]
    assert (summarise(state).status, summarise(state).reason) == (
        "failed",
        "process 4711 of rank 1 on node2 died",
    )
    (name,) = {id_ for each in effects for id_ in each.incidents}
    last = next(each.incidents[name] for each in reversed(effects) if name in each.incidents)
    assert "run failed at step 10: process 4711 of rank 1 on node2 died" in last.summary
    assert sum(bool(each.deliveries) for each in effects) == 1, "people are called once"


def test_a_rank_that_says_why_is_believed_when_no_other_speaks_up() -> None:
    state = job(3)
    tell(state, 0, LOST_PEER, now=10.5)
    assert summarise(state).status == "running", "it may have been another's fault"
    tick(state, 15.0)
    assert (summarise(state).status, summarise(state).reason) == ("failed", "rank 0: RuntimeError: reset")


def test_a_rank_that_is_killed_because_another_failed_is_not_blamed() -> None:
    state = job(2)
    tell(state, 0, LOST_PEER, now=10.5)
    tick(state, 15.0)
    told = tell(state, 1, KILLED_LATER, now=40.0)
    assert summarise(state).reason == "rank 0: RuntimeError: reset"
    assert not told.incidents


def test_a_cause_that_comes_late_is_told_in_the_same_incident() -> None:
    state = job(2)
    tell(state, 0, ASKED, now=10.5)
    first = tick(state, 15.0)
    state = unpack(pack(state))
    second = tell(state, 1, KILLED, now=60.0)
    assert summarise(state).reason == "process 4711 of rank 1 on node2 died"
    assert first.incidents.keys() == second.incidents.keys()
    assert "rank 1" in next(iter(second.incidents.values())).summary


def test_a_run_of_one_rank_has_nobody_to_wait_for() -> None:
    state = job(1)
    tell(state, 0, LOST_PEER, now=10.5)
    assert (summarise(state).status, summarise(state).reason) == ("failed", "RuntimeError: reset")


def test_all_ranks_that_are_asked_to_end_need_no_waiting() -> None:
    state = job(2)
    tell(state, 0, ASKED, now=10.5)
    tell(state, 1, ASKED, now=10.5)
    assert (summarise(state).status, summarise(state).reason) == ("failed", "rank 0: SIGTERM")


def test_a_rank_of_which_nothing_was_heard_yet_is_waited_for_too() -> None:
    state = new_run("run", NOW, Registration(project="gpt", world_size=2), SETTINGS)
    tell(state, 0, step=10, now=10.0)
    tell(state, 0, LOST_PEER, now=10.5)
    assert summarise(state).status == "running"
    tell(state, 1, KILLED, step=10, now=10.6)
    assert summarise(state).reason == "process 4711 of rank 1 on node2 died"


def test_a_failure_that_was_told_is_not_taken_back_when_rows_come_late() -> None:
    state = new_run(
        "run", NOW, Registration(project="gpt"), SETTINGS
    )  # it does not say how many ranks it has
    tell(state, 0, step=10, now=10.0)
    tell(state, 0, ASKED, now=10.5)
    late = tell(state, 1, KILLED, step=10, now=10.6)
    assert summarise(state).reason == "process 4711 of rank 1 on node2 died"
    assert [each.state for each in late.incidents.values()] == ["open"]


def test_steps_that_were_under_way_do_not_bring_a_run_back_and_later_ones_do() -> None:
    state = job(2)
    tell(state, 1, KILLED, now=10.5)
    tell(state, 0, step=11, now=11.5)
    assert summarise(state).status == "failed"
    tell(state, 0, step=30, now=30.0)
    assert summarise(state).status == "running"
