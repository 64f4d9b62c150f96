"""In which hours runs used energy, by what the store has of them."""

from __future__ import annotations

from trimtab_monitor.entries import Registration
from trimtab_monitor.pricing.intensity.values import HOUR_S
from trimtab_monitor.pricing.intensity.wanted import WantedHours
from trimtab_monitor.store.memory import MemoryStore
from trimtab_monitor.store.protocols import Commit, RunSnapshot
from trimtab_monitor.summary import RunSummary

H0 = 1_767_225_600
DAY_S = 86_400.0


class Bench:
    """A store with runs whose state is the list of their hours, and a count of how often one was read."""

    def __init__(self) -> None:
        self.store = MemoryStore()
        self.reads = 0
        self.wanted = WantedHours(self.store, self._hours_of, back_s=DAY_S)

    def commit(self, run: str, hours: list[int], heard: float, *, live: bool = True) -> None:
        position = self.store.state.position()
        state = " ".join(str(H0 + hour * HOUR_S) for hour in hours).encode()
        summary = summary_of(run, heard)
        snapshot = RunSnapshot(run, float(H0), heard, live, summary, state)
        self.store.state.commit(Commit(position, position + 1, [snapshot])).result()

    def hours(self, now: float) -> list[float]:
        return [(hour - H0) / HOUR_S for hour in sorted(self.wanted(now))]

    def _hours_of(self, packed: bytes) -> list[float]:
        self.reads += 1
        return [float(hour) for hour in packed.split()]


def summary_of(run: str, heard: float) -> RunSummary:
    return RunSummary(
        run=run,
        registration=Registration(project="gpt"),
        mode="off",
        status="running",
        reason="",
        created=float(H0),
        heard=heard,
        attempt=0,
        last_step=3,
        last_sample=None,
        latest={},
        incidents_open={},
        incidents_total={},
        power_w={},
        energy=[],
        lost_steps=0,
        lost_seconds=0.0,
        rollbacks=0,
        samples_dropped=0,
        hook_errors=0,
        fold_errors=0,
    )


def at(hour: float) -> float:
    return H0 + hour * HOUR_S


def test_no_runs_want_nothing() -> None:
    assert Bench().hours(at(5)) == []


def test_the_hours_of_a_run_that_is_over_are_wanted_and_no_more() -> None:
    bench = Bench()
    bench.commit("a", [1, 2, 7], heard=at(7.5), live=False)
    assert bench.hours(at(9)) == [1, 2, 7]


def test_a_live_run_wants_the_hour_that_goes_on() -> None:
    bench = Bench()
    bench.commit("a", [1], heard=at(1.9))
    assert bench.hours(at(2.1)) == [1, 2]


def test_the_hours_of_several_runs_are_wanted_once() -> None:
    bench = Bench()
    bench.commit("a", [1, 2], heard=at(2.5), live=False)
    bench.commit("b", [2, 3], heard=at(3.5), live=False)
    assert bench.hours(at(4)) == [1, 2, 3]


def test_a_state_is_read_once_an_hour_and_again_when_it_was_heard_of_since() -> None:
    bench = Bench()
    bench.commit("a", [1], heard=at(1.1))
    bench.hours(at(1.2))
    bench.commit("a", [0, 1], heard=at(1.3))
    assert bench.hours(at(1.4)) == [1]
    assert bench.reads == 1
    assert bench.hours(at(2.1)) == [0, 1, 2]
    assert bench.hours(at(3.1)) == [0, 1, 3]
    assert bench.reads == 2


def test_what_is_too_long_ago_is_not_wanted() -> None:
    bench = Bench()
    bench.commit("a", [0, 10, 11], heard=at(11.5), live=False)
    bench.commit("old", [1], heard=at(1), live=False)
    assert bench.hours(at(30)) == [10, 11]
