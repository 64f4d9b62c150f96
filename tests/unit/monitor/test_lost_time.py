"""What rollbacks, restarts and hangs cost: each moment once, by its cause."""

from __future__ import annotations

from array import array
from collections.abc import Mapping, Sequence
from typing import Any

from trimtab import wire
from trimtab_monitor.entries import BatchReceived, Registration, Tick
from trimtab_monitor.folding.fold import fold
from trimtab_monitor.folding.run_state import RunState, new_run, pack, summarise, unpack
from trimtab_monitor.ledger.testing import T0, device
from trimtab_monitor.liveness import LivenessSettings
from trimtab_monitor.settings import Settings

SETTINGS = Settings(liveness=LivenessSettings(hung_after_s=60, heartbeat_timeout_s=300))


def new() -> RunState:
    state = new_run("run", T0, Registration(project="gpt"), SETTINGS)
    tell(state, 0, {"kind": "run_start", "step": 0, "boot_id": "boot1"})
    return state


def send(state: RunState, rows: Sequence[tuple[int, float]], attempt: int = 0, took: float = 0.0) -> None:
    """Steps and the seconds at which they ended."""
    metrics = {"step_seconds": array("d", [took] * len(rows))} if took else {}
    step, time = array("q", [row[0] for row in rows]), array("d", [T0 + row[1] for row in rows])
    batch = wire.Batch(rank=0, seq=0, attempt=attempt, step=step, time=time, metrics=metrics)
    fold(state, BatchReceived(T0 + rows[-1][1], "run", batch), SETTINGS)


def tell(state: RunState, second: float, event: Mapping[str, Any], attempt: int = 0) -> None:
    batch = wire.Batch(rank=0, seq=0, attempt=attempt, events=[{"time": T0 + second, **event}])
    fold(state, BatchReceived(T0 + second, "run", batch), SETTINGS)


def draws(state: RunState, first: int, last: int, watts: float = 100) -> None:
    """Its GPU draws this, read each second."""
    times = range(first, last + 1)
    batch = wire.Batch(rank=0, seq=0, devices=[device(times, power=[watts] * len(times))])
    fold(state, BatchReceived(T0 + last, "run", batch), SETTINGS)


def tick(state: RunState, second: float) -> None:
    fold(state, Tick(T0 + second), SETTINGS)


def steps(first: int, last: int) -> list[tuple[int, float]]:
    """A step a second."""
    return [(step, float(step)) for step in range(first, last + 1)]


def lost(state: RunState) -> dict[str, tuple[int, float, float | None]]:
    """By cause: steps, seconds, joules; they add up to what is told of all."""
    state = unpack(pack(state))
    told = state.ledger.lost_work()
    totals = state.ledger.totals()
    assert sum(each.steps for each in told) == totals.lost_steps == summarise(state).lost_steps
    assert sum(each.seconds for each in told) == totals.lost_seconds
    assert sum(each.energy_uj or 0 for each in told) == totals.lost_uj
    assert sum(uj for _, uj in state.ledger.lost_by_hour()) == totals.lost_uj
    return {each.cause: (each.steps, each.seconds, each.joules) for each in told}


def test_a_run_in_which_nothing_goes_wrong_loses_nothing() -> None:
    state = new()
    send(state, steps(1, 100))
    tell(state, 100, {"kind": "run_end", "step": 100})
    assert lost(state) == {}


def test_a_restart_costs_the_steps_done_again_and_the_time_until_the_next() -> None:
    state = new()
    draws(state, 0, 250)
    send(state, steps(1, 100))
    tell(state, 101, {"kind": "run_end", "step": 100, "status": "failed"})
    tell(state, 180, {"kind": "run_start", "step": 80}, attempt=1)
    send(state, [(81, 200.0), (82, 201.0)], attempt=1, took=1.0)
    assert lost(state) == {"restart": (20, 199.0 - 80.0, 11_900.0)}


def test_a_restart_from_the_last_step_costs_the_time_only() -> None:
    state = new()
    send(state, steps(1, 100))
    tell(state, 180, {"kind": "run_start", "step": 100}, attempt=1)
    send(state, [(101, 200.0)], attempt=1)
    assert lost(state) == {"restart": (0, 100.0, None)}


def test_to_go_on_with_a_run_that_had_finished_costs_nothing() -> None:
    state = new()
    send(state, steps(1, 100))
    tell(state, 101, {"kind": "run_end", "step": 100})
    tell(state, 9_000, {"kind": "run_start", "step": 100}, attempt=1)
    send(state, [(101, 9_001.0)], attempt=1)
    assert lost(state) == {}


def test_a_restart_that_fails_before_its_first_step_and_the_next_are_one_loss() -> None:
    state = new()
    send(state, steps(1, 100))
    for attempt, second in ((1, 150), (2, 250)):
        tell(state, second, {"kind": "run_start", "step": 90}, attempt=attempt)
    send(state, [(91, 300.0)], attempt=2)
    assert lost(state) == {"restart": (10, 210.0, None)}


def test_a_hang_costs_the_time_to_the_next_step() -> None:
    state = new()
    draws(state, 0, 400)
    send(state, steps(1, 100))
    tick(state, 200)
    assert state.status == "hung"
    send(state, [(101, 300.0)], took=5.0)
    assert lost(state) == {"hang": (0, 195.0, 19_500.0)}


def test_a_hang_that_a_restart_ends_is_told_apart_from_it() -> None:
    state = new()
    send(state, steps(1, 100))
    tick(state, 200)
    tell(state, 260, {"kind": "run_end", "step": 100, "status": "failed"})
    tell(state, 280, {"kind": "run_start", "step": 90}, attempt=1)
    send(state, [(91, 300.0)], attempt=1)
    assert lost(state) == {"restart": (10, 10.0 + 40.0, None), "hang": (0, 160.0, None)}


def test_a_hang_that_nobody_ends_lasts_until_the_run_is_given_up() -> None:
    state = new()
    send(state, steps(1, 100))
    tell(state, 150, {"kind": "note"})
    tick(state, 200)
    tick(state, 500)
    assert state.status == "failed"
    assert lost(state) == {"hang": (0, 50.0, None)}


def test_a_phase_has_its_energy() -> None:
    state = new()
    send(state, steps(1, 10))
    draws(state, 0, 40)
    for second, phase in ((10, "eval"), (18, "train"), (30, "checkpoint"), (33, "train")):
        tell(state, second, {"kind": "phase", "phase": phase})
    assert state.ledger.by_phase() == {"train": 2_900_000_000, "checkpoint": 300_000_000, "eval": 800_000_000}


def test_the_phase_that_goes_on_counts_once_it_is_over() -> None:
    state = new()
    send(state, steps(1, 10))
    draws(state, 0, 20)
    tell(state, 10, {"kind": "phase", "phase": "eval"})
    assert state.ledger.by_phase() == {"train": 2_000_000_000}
    tell(state, 20, {"kind": "run_end", "step": 10})
    assert state.ledger.by_phase() == {"train": 1_000_000_000, "eval": 1_000_000_000}
